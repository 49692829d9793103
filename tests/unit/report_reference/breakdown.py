"""The report breakdown: any measure by one or two dimensions."""

from __future__ import annotations

from collections.abc import Callable

from report_reference.choosing import grouped, in_period, nulls_last, total, visitors
from report_reference.question import Question, Record, Row, Shops
from report_reference.values import CONTACTS, DIMENSIONS, is_sale, visitor_of
from report_reference.visits import visits


def breakdown(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    of_event = visits(events, asked)
    names = (asked.by or "type").split(",")
    is_value = asked.measure == "value"
    counted = [one for one in in_period(events, asked) if MEASURED[asked.measure](one)]
    rows = []
    for (first, second, currency), chosen in grouped(
        counted,
        lambda one: (
            _key(one, names[0]),
            _key(one, names[1]) if len(names) > 1 else None,
            one["currency"] if is_value else None,
        ),
    ).items():
        amount = {
            "visitors": lambda of_it=chosen: visitors(of_it),
            "visits": lambda of_it=chosen: len({of_event[id(one)] for one in of_it}),
            "value": lambda of_it=chosen: total(of_it),
        }.get(asked.measure, lambda of_it=chosen: len(of_it))()
        rows.append({"key": first, "key_2": second, "amount": amount, "currency": currency})
    rows.sort(
        key=lambda row: (
            -row["amount"],
            *(nulls_last(row[name]) for name in ("key", "key_2", "currency")),
        )
    )
    return rows[: asked.limit]


def _key(one: Record, name: str) -> str | None:
    value = DIMENSIONS[name](one)
    return None if value is None else str(value)


MEASURED: dict[str, Callable[[Record], bool]] = {
    "events": lambda one: True,
    "visitors": lambda one: bool(visitor_of(one)),
    "visits": lambda one: bool(visitor_of(one)),
    "views": lambda one: one["type"] == "view",
    "contacts": lambda one: one["type"] in CONTACTS,
    "cart_adds": lambda one: one["type"] == "cart_add",
    "transactions": is_sale,
    "value": is_sale,
}
