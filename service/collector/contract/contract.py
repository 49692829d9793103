"""The public contract: turn a body into one valid, normalised payload, or into the rejection.

The rules are the JSON Schemas of schemas/v1, compiled once. A fast, compiled validator accepts or
rejects each body; the slower reference validator then explains the rejection. A body is a JSON
value as `body.json_value` returns it, and is never changed. The compiled validator also rejects a
body that nests too deep. Whether a tenant or product exists is checked elsewhere.

The limits of text are half the work of a validation. The JSON text of most bodies shows at once
that all their texts are within them, and then a validator without these limits decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

from service.collector.contract import schemas
from service.collector.contract.body import DEPTH_MAX, TOO_DEEP, is_deep
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


class _Wire(NamedTuple):
    is_valid: Callable[[Any], bool]
    is_valid_if_text_fits: Callable[[Any], bool]
    explain: Callable[[object], Rejection]


class Contract:
    """One version of the schemas, compiled."""

    def __init__(self, version: str, documents: Mapping[str, Document]) -> None:
        """Compile the schemas of requests. `documents` are valid schemas by name."""
        self.version = version
        shared = documents[schemas.SHARED]
        self._conversions = Conversions(
            frozenset(shared["$defs"]["currency"]["enum"]),
            Decimal(str(shared["$defs"]["decimal"]["maximum"])),
        )
        limits = compiled({"$ref": f"{shared['$id']}#/$defs/limits"}, shared)
        self._text_chars_max: int = shared["$defs"]["text"]["maxLength"]
        bounded = schemas.within_depth(shared, DEPTH_MAX)
        lighter = schemas.within_depth(schemas.without_text_limits(shared), DEPTH_MAX)
        self._wire = {
            name: _Wire(
                compiled(documents[name], bounded).is_valid,
                compiled(documents[name], lighter).is_valid,
                Explainer(documents[name], shared, limits.is_valid).explain,
            )
            for name in schemas.WIRE
        }

    @classmethod
    def load(cls, folder: Traversable | Path = schemas.FOLDER) -> Contract:
        """Load the contract; the folder's name is its version. Raises SchemaFileError."""
        documents = schemas.load(folder)
        try:
            return cls(folder.name, documents)
        except KeyError as error:
            path = folder / f"{schemas.SHARED}.json"
            raise SchemaFileError(path, f"has no {error}") from error

    def track(self, body: object, plain: bytes) -> Payload | Rejection:
        """Return the payload in a body of POST /api/v1/analytics/track; `plain` is its JSON."""
        return self._checked("track", body, plain, event_payload)

    def conversion(self, body: object, plain: bytes) -> Payload | Rejection:
        """Return the payload in a body of POST /api/v1/analytics/conversion, as `track` does."""
        return self._checked("conversion", body, plain, self._conversions.payload)

    def interaction(self, body: object, plain: bytes) -> Payload | Rejection:
        """Return the payload in a body of POST /api/v1/interactions, as `track` does."""
        return self._checked("interaction", body, plain, event_payload)

    def _checked(
        self, name: str, body: Any, plain: bytes, normalise: Callable[[Body], Payload]
    ) -> Payload | Rejection:
        wire = self._wire[name]
        text_fits = schemas.fits_text(plain, self._text_chars_max)
        is_valid = wire.is_valid_if_text_fits if text_fits else wire.is_valid
        if not is_valid(body):
            return TOO_DEEP if is_deep(body) else wire.explain(body)
        try:
            return normalise(body)
        except RuleBroken as error:
            return error.rejection
