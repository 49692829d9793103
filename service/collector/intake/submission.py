"""The values exchanged with the HTTP servers: a Submission per request, a Reply per response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from service.collector.contract.rejection import Rejection
from service.collector.throttle.gates import NO_HEADERS, Throttled

_RETRY_AFTER_S = 2


class Submission(NamedTuple):
    """One request. `ip` is the client's; `wants_privacy` says whether GPC or DNT is set.

    `rejection` says why the HTTP server did not read the body (its size). `signature` is the value
    of the header Beaconlog-Signature.
    """

    body: bytes
    content_type: str | None
    content_encoding: str | None
    ip: str
    user_agent: str
    wants_privacy: bool
    rejection: Rejection | None = None
    signature: str | None = None


class Reply(NamedTuple):
    """A response: HTTP status, JSON body and headers."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = NO_HEADERS


class Unavailable(Exception):
    """The event could not be stored. The client still has it, and should send it again."""


def throttled(error: Throttled) -> Reply:
    """Return a 429."""
    return Reply(429, {"success": False, "message": str(error)}, error.headers)


def unavailable(message: str, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """Return a 503 with these headers and Retry-After."""
    body = {"success": False, "message": message}
    return Reply(503, body, {**headers, "Retry-After": str(_RETRY_AFTER_S)})


def rejected(rejection: Rejection) -> Reply:
    """Return the reply to a rejected payload: its status, and its messages by field."""
    body: dict[str, object] = {"success": False, "message": rejection.message}
    if rejection.errors:
        body["errors"] = {name: list(messages) for name, messages in rejection.errors.items()}
    return Reply(rejection.status, body)
