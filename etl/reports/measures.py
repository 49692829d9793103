"""The measures of the report breakdown: what it counts per value of its dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from etl import goals


@dataclass(frozen=True, slots=True)
class Measure:
    """SQL over the columns of an event: which events are measured, and their aggregate.

    `joined` adds columns to the events; `currency` is the column that money is divided by.
    """

    amount: str = "count(*)"
    measured: str = "true"
    joined: str = ""
    currency: str = "NULL::VARCHAR"


_SALE = "is_sale(endpoint, type)"
MEASURES: Mapping[str, Measure] = {
    "events": Measure(),
    "visitors": Measure("count(DISTINCT visitor_of(visitor_id))", "visitor_id IS NOT NULL"),
    "visits": Measure(
        "count(DISTINCT visit)",
        "visitor_id IS NOT NULL",
        "JOIN visits_of($tenant, $from, $to, $bots)"
        " ON visitor = visitor_of(visitor_id) AND slot = slot_of(occurred_at)",
    ),
    "views": Measure(measured="type = 'view'"),
    "contacts": Measure(measured="is_contact(type)"),
    "cart_adds": Measure(measured="type = 'cart_add'"),
    "transactions": Measure(measured=_SALE),
    "value": Measure("sum(value)", _SALE, currency="currency"),
}
"""The name of a measure -> its SQL. `goal:NAME` counts the events of a goal."""


def parse(text: str) -> str:
    """Return the name of a measure. Raises ValueError."""
    if text not in MEASURES and goals.named_by(text) is None:
        raise ValueError(f"takes one of {', '.join(MEASURES)}, or goal:NAME.")
    return text
