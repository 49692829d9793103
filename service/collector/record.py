"""The records of the log: the content of a line apart from its CRC and numbers.

Only parsed values are serialised, never a client's bytes. Fields without a value are left out.
`schemas/v1/event.json` describes the record of an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import orjson

from service.collector.contract.payload import Payload
from service.collector.identifiers import iso_utc

REJECTED_BODY_BYTES_MAX = 8192

_NO_CONTEXT: Mapping[str, object] = MappingProxyType({})


@dataclass(slots=True)
class Visit:
    """The values that all events of a tenant in one request share.

    `received_at` is text as `iso_utc` returns it.
    """

    tenant_id: int
    received_at: str
    visitor_id: str | None
    bot: bool


def event(  # noqa: PLR0913  (a record's fields)
    payload: Payload,
    visit: Visit,
    *,
    endpoint: str,
    event_id: str,
    occurred_us: int | None = None,
    signed: bool = False,
    context: Mapping[str, object] = _NO_CONTEXT,
) -> bytes:
    """Return the record of an accepted event.

    `occurred_us` counts microseconds since the epoch; None if the event occurred when it was
    received. `context` are the fields of its context.
    """
    received_at = visit.received_at
    fields: dict[str, object] = {
        "kind": "event",
        "event_id": event_id,
        "received_at": received_at,
        "occurred_at": received_at if occurred_us is None else iso_utc(occurred_us),
        "tenant_id": visit.tenant_id,
        "endpoint": endpoint,
        "type": payload.type,
    }
    if payload.product_id is not None:
        fields["product_id"] = payload.product_id
    if payload.value is not None:
        fields |= _transaction(payload, payload.value)
    if visit.visitor_id is not None:
        fields["visitor_id"] = visit.visitor_id
    fields["bot"] = visit.bot
    if metadata := _metadata(payload, occurred_us):
        fields["metadata"] = metadata
    if dedupe := dedupe_key(payload):
        fields["dedupe_key"] = dedupe
    if context:
        fields.update(context)
    if payload.ref is not None:
        fields["ref"] = payload.ref
    if signed:
        _sign(fields)
    return orjson.dumps(fields)


def _transaction(payload: Payload, value: Decimal) -> dict[str, object]:
    """Return the fields that only conversions have."""
    fields: dict[str, object] = {}
    if payload.transaction_id is not None:
        fields["transaction_id"] = payload.transaction_id
    fields["value"] = orjson.Fragment(f"{value.normalize():f}")
    fields["currency"] = payload.currency
    return fields


def _sign(fields: dict[str, object]) -> None:
    """Mark a record as signed, with a dedupe key that no unsigned event can have.

    Otherwise someone without the secret could send the transaction first, and make the signed sale
    a duplicate.
    """
    fields["signed"] = True
    key = fields.get("dedupe_key")
    if isinstance(key, str) and key.startswith("tx:"):
        fields["dedupe_key"] = f"s{key}"


def dedupe_key(payload: Payload) -> str | None:
    """Return the key that copies of one event share, or None if there is none.

    A transaction comes before the event id: a thank-you page that is loaded twice sends one
    transaction with two event ids.
    """
    if payload.transaction_id is not None:
        return f"tx:{payload.transaction_id}"
    return f"id:{payload.event_id}" if payload.event_id else None


def _metadata(payload: Payload, occurred_us: int | None) -> dict[str, object]:
    metadata = payload.metadata
    if payload.product_id is not None:
        metadata = metadata | {"product_id": payload.product_id}
    if payload.timestamp_us is not None and payload.timestamp_us != occurred_us:
        metadata = metadata | {"_timestamp": payload.timestamp_text}
    return metadata


def rejected(  # noqa: PLR0913  (a record's fields)
    *,
    endpoint: str,
    reason: str,
    errors: Mapping[str, Sequence[str]],
    schema_version: str,
    raw_body: bytes,
    received_us: int,
) -> bytes:
    """Return the record of a rejected payload, with up to 8 KiB of its body as text."""
    text = raw_body[:REJECTED_BODY_BYTES_MAX].decode(errors="replace").replace("\0", "\ufffd")
    return orjson.dumps(
        {
            "kind": "rejected",
            "received_at": iso_utc(received_us),
            "endpoint": endpoint,
            "reason": reason,
            "errors": {field: list(messages) for field, messages in errors.items()},
            "schema_version": schema_version,
            "body": text,
        }
    )
