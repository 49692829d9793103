"""The row that an accepted payload must become, derived from the payload alone.

Written from the contract and the design, with nothing of the service in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from schema_values import CONVERSION, INTERACTIONS, TRACK

ENDPOINTS = {TRACK: "track", CONVERSION: "conversion", INTERACTIONS: "interactions"}
COLUMNS = (
    "endpoint, type, tenant_id, product_id, transaction_id, value, currency, event_id, "
    "dedupe_key, metadata, epoch_us(occurred_at), epoch_us(received_at)"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FUTURE = timedelta(minutes=5)


@dataclass(frozen=True)
class World:
    """The facts that the service knows and the payload does not contain."""

    tenants: Mapping[str, int]
    """By id, UUID and slug, as text in lower case."""
    products: frozenset[tuple[int, int]]
    past: timedelta


def faults(world: World, path: str, sent: dict[str, Any], row: tuple[Any, ...]) -> list[str]:
    """How a row, of COLUMNS, is not what was sent."""
    *values, event_id, dedupe_key, text, occurred_us, received_us = row
    tenant = world.tenants.get(tenant_key(path, sent))
    product = sent.get("product_id")
    is_sold = (tenant, product) in world.products
    kept = int(product) if product is not None and (is_sold or path != INTERACTIONS) else None
    money = _money(sent) if path == CONVERSION else (None, None, None)
    expected: dict[str, Any] = {
        "values": [ENDPOINTS[path], _type(path, sent), tenant, kept, *money],
        "event_id": (sent.get("event_id") or event_id).lower(),
        "dedupe_key": _dedupe_key(money[0], sent),
    }
    metadata = dict(sent.get("metadata") or {})
    if kept is not None:
        metadata["product_id"] = kept
    claimed_us, said = _claimed(path, sent)
    expected["occurred"] = received_us if claimed_us is None else claimed_us
    if claimed_us is not None and not _is_plausible(world, claimed_us, received_us):
        expected["occurred"] = received_us
        if claimed_us != received_us:
            metadata["_timestamp"] = said
    expected["metadata"] = _canonical(metadata)
    found = {
        "values": values,
        "event_id": event_id,
        "dedupe_key": dedupe_key,
        "occurred": occurred_us,
        "metadata": _canonical(json.loads(text or "{}")),
    }
    return [
        f"{name} is {found[name]!r:.500}, not {expected[name]!r:.500}"
        for name in found
        if found[name] != expected[name]
    ]


def _canonical(metadata: dict[str, Any]) -> str:
    """1, 1.0 and true are three values, as are 0.0 and -0.0."""
    return json.dumps(metadata, sort_keys=True)


def tenant_key(path: str, sent: dict[str, Any]) -> str:
    """The id, UUID or slug of the tenant that a payload names."""
    key = sent["tenant_slug"] if path == CONVERSION else sent["tenant_id"]
    return str(int(key)) if isinstance(key, float) else str(key).lower()


def _type(path: str, sent: dict[str, Any]) -> str:
    if path != CONVERSION:
        return str(sent["type"])
    return str(_first(sent, "type", "event_type", "event") or "purchase")


def _first(sent: dict[str, Any], *names: str) -> Any:
    return next((sent[name] for name in names if sent.get(name) is not None), None)


def _money(sent: dict[str, Any]) -> tuple[str | None, Decimal, str]:
    transaction = sent.get("transaction_id")
    if isinstance(transaction, float) and transaction == int(transaction):
        transaction = int(transaction)
    text = None if transaction is None else str(transaction)
    exact = Decimal(str(sent.get("value") or 0))
    value = exact.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    is_known = text is not None and text.strip().lower() not in ("", "null", "undefined", "none")
    return text if is_known else None, value, (sent.get("currency") or "HNL").upper()


def _dedupe_key(transaction: str | None, sent: dict[str, Any]) -> str | None:
    if transaction is not None:
        return f"tx:{transaction}"
    return f"id:{sent['event_id'].lower()}" if sent.get("event_id") else None


def _claimed(path: str, sent: dict[str, Any]) -> tuple[int | None, str | None]:
    names = ("timestamp", "occurred_at") if path == CONVERSION else ("timestamp",)
    text = _first(sent, *names)
    if text is None:
        return None, None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1), text


def _is_plausible(world: World, claimed_us: int, received_us: int) -> bool:
    claimed, received = (timedelta(microseconds=us) for us in (claimed_us, received_us))
    return received - world.past <= claimed <= received + FUTURE
