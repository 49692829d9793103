"""The public contract: a body -> one valid, normalised event, or the reason why not.

The rules are the JSON Schemas of schemas/v1, compiled once. A compiled validator says yes or no
to each body; only a no is explained, by the reference validator. Beyond the schemas stand three
rules they cannot say: a currency is an active ISO 4217 code, a timestamp is ISO 8601, and an
order value sent as text keeps the schema's bounds. Bodies are never changed; they are JSON
values as read_body makes them. Nothing here knows which tenants or products exist.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jsonschema_rs
import orjson
from jsonschema import Draft202012Validator, SchemaError

from etl.directory.tenant_reference import sent_tenant
from service.collector.contract.explain import Explainer, fault_of, rejection
from service.collector.contract.rejection import Rejection

__all__ = ["Contract", "Payload", "Rejection", "SchemaFileError", "transaction_id_of"]

CONVERSION_TYPE_DEFAULT = "purchase"
CURRENCY_DEFAULT = "HNL"

_SHARED = "common"
_WIRE = ("track", "conversion", "interaction")
_STORED = "event"

_TRANSACTION_CHARACTERS_MAX = 255
_INTEGER_MAX = 2**53 - 1
_VALUE_STEP = Decimal("0.0001")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FOLDER = files("schemas") / "v1"
_TRACKED_TIMESTAMP = ("timestamp",)

_Document: TypeAlias = dict[str, Any]


class SchemaFileError(Exception):
    """A schema file is missing, unreadable or invalid: its path and why, in one line."""

    def __init__(self, path: Traversable | Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class Payload(NamedTuple):
    """One client's event, valid and normalised.

    `tenant` is an id, a slug (conversions), or for tracked events a UUID in lower case or a
    text that can match none. `timestamp_us` counts microseconds since the epoch, UTC.
    `transaction_id`, `value` (four decimals) and `currency` are None but for conversions.
    """

    tenant: int | str
    type: str
    product_id: int | None
    metadata: dict[str, object]
    event_id: str | None
    timestamp_us: int | None
    timestamp_text: str | None
    transaction_id: str | None = None
    value: Decimal | None = None
    currency: str | None = None


class _RefusedError(Exception):
    """A rule beyond the schema is broken."""

    def __init__(self, field: str, rule: str, words: str) -> None:
        super().__init__(field, rule)
        self.rejection = rejection([fault_of(field, rule, words)])


class _Wire(NamedTuple):
    is_valid: Callable[[Any], bool]
    explain: Callable[[object], Rejection]


class Contract:
    """One version of the schemas, compiled."""

    def __init__(self, version: str, documents: Mapping[str, _Document]) -> None:
        """Compiles the wire schemas of `documents` (by name), each of which is valid."""
        self.version = version
        shared = documents[_SHARED]
        self._currencies = frozenset(shared["$defs"]["currency"]["enum"])
        self._value_max = Decimal(str(shared["$defs"]["decimal"]["maximum"]))
        limits = _compiled({"$ref": f"{shared['$id']}#/$defs/limits"}, shared)
        self._wire = {
            name: _Wire(
                _compiled(documents[name], shared).is_valid,
                Explainer(documents[name], shared, limits.is_valid).explain,
            )
            for name in _WIRE
        }

    @classmethod
    def load(cls, folder: Traversable | Path = _FOLDER) -> "Contract":
        """The contract in a folder, which is named by its version. Raises SchemaFileError."""
        paths = {name: folder / f"{name}.json" for name in (_SHARED, *_WIRE, _STORED)}
        documents = {name: _read_schema(path) for name, path in paths.items()}
        for name, path in paths.items():
            _check_schema(path, documents[name], documents[_SHARED])
        try:
            return cls(folder.name, documents)
        except KeyError as error:
            raise SchemaFileError(paths[_SHARED], f"has no {error}") from error

    def track(self, body: object) -> Payload | Rejection:
        """The event in a body of POST /api/v1/analytics/track."""
        return self._checked("track", body, _tracked)

    def conversion(self, body: object) -> Payload | Rejection:
        """The event in a body of POST /api/v1/analytics/conversion."""
        return self._checked("conversion", body, self._converted)

    def interaction(self, body: object) -> Payload | Rejection:
        """The event in a body of POST /api/v1/interactions."""
        return self._checked("interaction", body, _tracked)

    def _checked(
        self, name: str, body: Any, normalise: Callable[[_Document], Payload]
    ) -> Payload | Rejection:
        wire = self._wire[name]
        if not wire.is_valid(body):
            return wire.explain(body)
        try:
            return normalise(body)
        except _RefusedError as refused:
            return refused.rejection

    def _converted(self, body: _Document) -> Payload:
        timestamp_us, timestamp_text = _moment(body, ("timestamp", "occurred_at"))
        return Payload(
            tenant=body["tenant_slug"],
            type=_first(body, ("type", "event_type", "event"))[1] or CONVERSION_TYPE_DEFAULT,
            product_id=_integer(body.get("product_id")),
            metadata=dict(body.get("metadata") or {}),
            event_id=_lower(body.get("event_id")),
            timestamp_us=timestamp_us,
            timestamp_text=timestamp_text,
            transaction_id=_transaction_text(body.get("transaction_id")),
            value=self._value(body.get("value")),
            currency=self._currency(body.get("currency")),
        )

    def _value(self, sent: str | float | None) -> Decimal:
        exact = Decimal(str(sent or 0))
        if abs(exact) > self._value_max:
            words = f"must be between -{self._value_max} and {self._value_max}"
            raise _RefusedError("value", "maximum", words)
        # adding zero turns a negative zero into zero
        return exact.quantize(_VALUE_STEP, ROUND_HALF_EVEN) + 0

    def _currency(self, sent: str | None) -> str:
        code = CURRENCY_DEFAULT if sent is None else sent.upper()
        if code not in self._currencies:
            raise _RefusedError("currency", "currency-unknown", "must be an active ISO 4217 code")
        return code


def transaction_id_of(body: object) -> str | int | float | None:
    """The transaction_id of any body as it was sent, or None where it is not a valid one."""
    sent = body.get("transaction_id") if isinstance(body, dict) else None
    if isinstance(sent, str):
        fits = len(sent) <= _TRANSACTION_CHARACTERS_MAX and "\0" not in sent
        return sent if fits else None
    if isinstance(sent, (int, float)) and not isinstance(sent, bool):
        return sent if abs(sent) <= _INTEGER_MAX else None
    return None


def _read_schema(path: Traversable | Path) -> _Document:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SchemaFileError(path, error.strerror or "cannot be read") from error
    except orjson.JSONDecodeError as error:
        raise SchemaFileError(path, f"is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("$id"), str):
        raise SchemaFileError(path, "is not a JSON object with an $id")
    return document


def _check_schema(path: Traversable | Path, document: _Document, shared: _Document) -> None:
    try:
        Draft202012Validator.check_schema(document)
        _compiled(document, shared)
    except SchemaError as error:
        raise SchemaFileError(path, f"{error.json_path}: {_first_line(error)}") from error
    except ValueError as error:
        raise SchemaFileError(path, _first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _compiled(document: _Document, shared: _Document) -> jsonschema_rs.Validator:
    registry = jsonschema_rs.Registry([(shared["$id"], shared)])
    return jsonschema_rs.Draft202012Validator(document, registry=registry, offline=True)


def _tracked(body: _Document) -> Payload:
    has_timestamp = body.get("timestamp") is not None
    timestamp_us, timestamp_text = (
        _moment(body, _TRACKED_TIMESTAMP) if has_timestamp else (None, None)
    )
    return Payload(
        sent_tenant(body["tenant_id"]),
        body["type"],
        _integer(body.get("product_id")),
        dict(body.get("metadata") or {}),
        _lower(body.get("event_id")),
        timestamp_us,
        timestamp_text,
    )


def _integer(sent: float | None) -> int | None:
    return None if sent is None else int(sent)


def _lower(sent: str | None) -> str | None:
    return None if sent is None else sent.lower()


def _transaction_text(sent: str | float | None) -> str | None:
    """The text of a transaction id: 7.0 is "7"; a blank one identifies nothing."""
    if isinstance(sent, float) and sent.is_integer():
        sent = int(sent)
    text = "" if sent is None else str(sent)
    return text if text.strip() else None


def _first(body: _Document, fields: tuple[str, ...]) -> tuple[str, Any]:
    """The first of these fields that is not null, and its value; or the first and None."""
    for field in fields:
        if body.get(field) is not None:
            return field, body[field]
    return fields[0], None


def _moment(body: _Document, fields: tuple[str, ...]) -> tuple[int | None, str | None]:
    """Microseconds since the epoch and the text of the first timestamp among these fields."""
    field, text = _first(body, fields)
    if text is None:
        return None, None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND, text
    except (ValueError, OverflowError) as error:
        raise _RefusedError(field, "timestamp-invalid", "must be an ISO 8601 time") from error
