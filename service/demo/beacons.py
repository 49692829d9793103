"""A beacon: a request to the collector, when it is sent, and who signs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, TypeAlias
from uuid import UUID

import orjson

from service.demo.shops import Shop
from service.replay.request_file import Request

INTERACTIONS = "/api/v1/interactions"
TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"

Sign: TypeAlias = Callable[[Shop, bytes], Mapping[str, str]]
"""Returns the headers of a shop's signature of a body."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """A request and the time at which it is sent; `signer` is the shop whose server sends it."""

    at: datetime
    request: Request
    signer: Shop | None = None

    def signed(self, sign: Sign) -> Request:
        """Return the request, with a signature if a server sends it."""
        if self.signer is None:
            return self.request
        signature = sign(self.signer, self.request.body)
        return replace(self.request, headers={**self.request.headers, **signature})


def event_id(rng: Random) -> str:
    """Return a random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def short_ref(event_id_: str) -> str:
    """Return the short form of an event's id that a chat contains."""
    return f"#{event_id_[-10:]}"


def request(
    path: str, headers: Mapping[str, str], at: datetime, fields: Mapping[str, Any]
) -> Request:
    """Return the request of an event that occurred at a time."""
    return Request(
        path, headers, orjson.dumps({**fields, "timestamp": at.isoformat(timespec="microseconds")})
    )
