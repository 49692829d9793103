"""Payloads: valid bodies, normalised, and the rules that the schemas cannot express.

There are three such rules: a currency is an active ISO 4217 code, a timestamp is ISO 8601, and an
order value sent as text is within the schema's bounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeAlias

from etl.directory.tenant_reference import sent_tenant
from service.collector.contract.explain import fault_of, rejection
from service.collector.contract.sent import SentContext, SentEvent
from service.collector.identifiers import us_of

CONVERSION_TYPE_DEFAULT = "purchase"
CURRENCY_DEFAULT = "HNL"
"""The currency of a sale that names none, of a shop that has none."""
SALES = frozenset({"purchase", "conversion"})
"""The types of events that are sales."""

_TRANSACTION_CHARACTERS_MAX = 255
_NO_TRANSACTION = frozenset({"", "null", "undefined", "none"})
"""Texts that programs write for no value, which many sales would share as their transaction."""
_INTEGER_MAX = 2**53 - 1
_NO_CONTEXT = SentContext()
_VALUE_STEP = Decimal("0.0001")

# An event id, or the last ten hex digits of one, which a "#" may precede.
_REF = re.compile(r"#?([0-9a-f]{10})|([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

Body: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Payload:
    """A client's event, valid and normalised.

    `tenant` is an id; for conversions a slug; for track also a UUID in lower case, or a text that
    matches no tenant. `timestamp_us` counts microseconds since the epoch, UTC. `transaction_id`,
    `value` (four decimals) and `currency` are None except for conversions; a currency that was not
    sent is set to the tenant's when that is known. `ref` is the id of the
    event that led to a sale, or its last ten digits, in lower case; None for other events.
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
    context: SentContext | None = None
    ref: str | None = None


class RuleBroken(Exception):
    """The body breaks a rule that its schema cannot express; `rejection` says which."""

    def __init__(self, field: str, rule: str, words: str) -> None:
        super().__init__(field, rule)
        self.rejection = rejection([fault_of(field, rule, words)])


@dataclass(frozen=True, slots=True)
class Conversions:
    """The rules of conversions: the active currencies, and the bound of a value."""

    currencies: frozenset[str]
    value_max: Decimal

    def payload(self, body: Body) -> Payload:
        """Return the payload of a valid body. Raises RuleBroken."""
        field, timestamp = _first(body, ("timestamp", "occurred_at"))
        return Payload(
            tenant=body["tenant_slug"],
            type=_first(body, ("type", "event_type", "event"))[1] or CONVERSION_TYPE_DEFAULT,
            product_id=_integer(body.get("product_id")),
            metadata=dict(body.get("metadata") or {}),
            event_id=_lower(body.get("event_id")),
            timestamp_us=None if timestamp is None else _us_of_text(field, timestamp),
            timestamp_text=timestamp,
            transaction_id=_transaction_text(body.get("transaction_id")),
            value=self._value(body.get("value")),
            currency=self._currency(body.get("currency")),
            context=SentContext.of_valid(body.get("context")),
            ref=_ref(body.get("ref")),
        )

    def _value(self, sent: str | float | None) -> Decimal:
        exact = Decimal(str(sent or 0))
        if abs(exact) > self.value_max:
            words = f"must be between -{self.value_max} and {self.value_max}"
            raise RuleBroken("value", "maximum", words)
        # Adding 0 turns negative zero into zero.
        return exact.quantize(_VALUE_STEP, ROUND_HALF_EVEN) + 0

    def _currency(self, sent: str | None) -> str | None:
        if sent is None:
            return None
        code = sent.upper()
        if code not in self.currencies:
            raise RuleBroken("currency", "currency-unknown", "must be an active ISO 4217 code")
        return code


def event_payload(sent: SentEvent) -> Payload:
    """Return the payload of a valid event of track or interactions. Raises RuleBroken."""
    event_id, timestamp = sent.event_id, sent.timestamp
    return Payload(
        sent_tenant(sent.tenant_id),
        sent.type,
        sent.product_id,
        dict(sent.metadata or {}),
        None if event_id is None else event_id.lower(),
        None if timestamp is None else _us_of_text("timestamp", timestamp),
        timestamp,
        context=sent.context if sent.context != _NO_CONTEXT else None,
        ref=_ref(sent.ref) if sent.type in SALES else None,
    )


def transaction_id_of(body: object) -> str | int | float | None:
    """Return the transaction_id of any JSON value as it was sent; None if it is not valid."""
    sent = body.get("transaction_id") if isinstance(body, dict) else None
    if isinstance(sent, str):
        fits = len(sent) <= _TRANSACTION_CHARACTERS_MAX and "\0" not in sent
        return sent if fits else None
    if isinstance(sent, (int, float)) and not isinstance(sent, bool):
        return sent if abs(sent) <= _INTEGER_MAX else None
    return None


def _ref(sent: str | None) -> str | None:
    """Return the reference to an event in lower case, without "#"; None if it is of no such form.

    A sale counts whatever its reference is: people read them aloud and type them.
    """
    if sent is None:
        return None
    match = _REF.fullmatch(sent.strip().lower())
    return match and (match[1] or match[2])


def _integer(sent: float | None) -> int | None:
    return None if sent is None else int(sent)


def _lower(sent: str | None) -> str | None:
    return None if sent is None else sent.lower()


def _transaction_text(sent: str | float | None) -> str | None:
    """Return a transaction id as text, 7.0 as "7"; None if it stands for no value."""
    if isinstance(sent, float) and sent.is_integer():
        sent = int(sent)
    text = "" if sent is None else str(sent)
    return None if text.strip().lower() in _NO_TRANSACTION else text


def _first(body: Body, fields: tuple[str, ...]) -> tuple[str, Any]:
    """Return the first field that is not null and its value, or the first field and None."""
    for field in fields:
        if body.get(field) is not None:
            return field, body[field]
    return fields[0], None


def _us_of_text(field: str, text: str) -> int:
    """Return the timestamp in a field as microseconds since the epoch. Raises RuleBroken."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        elif moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        return us_of(moment)
    except (ValueError, OverflowError) as error:
        raise RuleBroken(field, "timestamp-invalid", "must be an ISO 8601 time") from error
