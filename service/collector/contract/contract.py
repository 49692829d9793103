"""The public contract: turn a body into one valid, normalised payload, or into the rejection.

The rules are the JSON Schemas of schemas/v1, compiled once. A body is a value as `body.content`
returns it, and is never changed. A SentEvent was validated when it was decoded, except for its
type and tenant. If one of them is not valid, or the event was sent as a conversion, its JSON is
decoded again and validated like that of any other body: a fast, compiled validator accepts or
rejects it, and the slower reference validator explains the rejection. The compiled validator also
rejects a body that nests too deep. Whether a tenant or product exists is checked elsewhere.

The limits of text are half the work of a validation. The JSON text of most bodies shows at once
that all their texts are within them, and then a validator without these limits decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeAlias

from service.collector.contract import schemas
from service.collector.contract.body import DEPTH_MAX, TOO_DEEP, is_deep, json_value
from service.collector.contract.explain import Explainer
from service.collector.contract.payload import (
    Body,
    Conversions,
    Payload,
    RuleBroken,
    event_payload,
)
from service.collector.contract.rejection import Rejection
from service.collector.contract.schemas import Document, SchemaFileError, compiled
from service.collector.contract.sent import SentEvent

_ID_DIGITS_MAX = 16


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one body: two validators, the explanation of a rejection, and the payload.

    `is_valid_event` says whether the type and the tenant of a SentEvent are valid.
    """

    is_valid: Callable[[Any], bool]
    is_valid_if_text_fits: Callable[[Any], bool]
    text_chars_max: int
    explain: Callable[[object], Rejection]
    normalise: Callable[[Body], Payload]
    is_valid_event: Callable[[SentEvent], bool]

    def check(self, body: Any, plain: bytes) -> Payload | Rejection:
        """Return the payload in a body, or its rejection; `plain` is its JSON."""
        if isinstance(body, SentEvent):
            if self.is_valid_event(body):
                return _payload_of(event_payload, body)
            body = json_value(plain)
        text_fits = schemas.fits_text(plain, self.text_chars_max)
        is_valid = self.is_valid_if_text_fits if text_fits else self.is_valid
        if not is_valid(body):
            return TOO_DEEP if is_deep(body) else self.explain(body)
        return _payload_of(self.normalise, body)


Check: TypeAlias = Callable[[object, bytes], Payload | Rejection]
"""A function that returns the payload in a body, or its rejection. It also takes the JSON."""


class Contract:
    """One version of the schemas, compiled."""

    def __init__(self, version: str, documents: Mapping[str, Document]) -> None:
        """Compile the schemas of requests. `documents` are valid schemas by name."""
        self.version = version
        shared = documents[schemas.SHARED]
        conversions = Conversions(
            frozenset(shared["$defs"]["currency"]["enum"]),
            Decimal(str(shared["$defs"]["decimal"]["maximum"])),
        )
        limits = compiled({"$ref": f"{shared['$id']}#/$defs/limits"}, shared)
        bounded = schemas.within_depth(shared, DEPTH_MAX)
        lighter = schemas.within_depth(schemas.without_text_limits(shared), DEPTH_MAX)

        track_types = frozenset(shared["$defs"]["trackType"]["enum"])
        interaction_types = frozenset(shared["$defs"]["interactionType"]["enum"])

        def rules(
            name: str,
            normalise: Callable[[Body], Payload],
            is_valid_event: Callable[[SentEvent], bool],
        ) -> Check:
            return _Rules(
                compiled(documents[name], bounded).is_valid,
                compiled(documents[name], lighter).is_valid,
                shared["$defs"]["text"]["maxLength"],
                Explainer(documents[name], shared, limits.is_valid).explain,
                normalise,
                is_valid_event,
            ).check

        self.track = rules("track", _event_payload, lambda sent: sent.type in track_types)
        """Check a body of POST /api/v1/analytics/track."""
        self.conversion = rules("conversion", conversions.payload, lambda _: False)
        """Check a body of POST /api/v1/analytics/conversion."""
        self.interaction = rules(
            "interaction",
            _event_payload,
            lambda sent: sent.type in interaction_types and _is_id(sent.tenant_id),
        )
        """Check a body of POST /api/v1/interactions."""

    @classmethod
    def load(cls, folder: Traversable | Path = schemas.FOLDER) -> Contract:
        """Load the contract; the folder's name is its version. Raises SchemaFileError."""
        documents = schemas.load(folder)
        try:
            return cls(folder.name, documents)
        except KeyError as error:
            path = folder / f"{schemas.SHARED}.json"
            raise SchemaFileError(path, f"has no {error}") from error


def _event_payload(body: Body) -> Payload:
    return event_payload(SentEvent.of_valid(body))


def _payload_of(normalise: Callable[[Any], Payload], body: object) -> Payload | Rejection:
    try:
        return normalise(body)
    except RuleBroken as error:
        return error.rejection


def _is_id(tenant_id: int | str) -> bool:
    """Return whether a tenant_id is an id, maybe as text."""
    if isinstance(tenant_id, int):
        return True
    return len(tenant_id) <= _ID_DIGITS_MAX and tenant_id.isascii() and tenant_id.isdigit()
