"""The report attribution: what led to each sale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from report_reference.choosing import grouped, in_period, nulls_last
from report_reference.question import Question, Record, Row, Shops
from report_reference.values import DIMENSIONS, is_sale, order_of, visitor_of
from report_reference.visits import visits


def attribution(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    by = asked.touch or "channel"
    dimension = DIMENSIONS[TOUCHES[by]]

    def touch(one: Record) -> str | None:
        value = dimension(one)
        return None if value is None else str(value)

    no_touch = {"channel": ("direct", "internal"), "source": ("direct",)}.get(by, ())

    def is_touch(value: str | None) -> bool:
        return value is not None and value not in no_touch

    of_event = visits(events, asked)
    by_visitor = grouped((one for one in events if id(one) in of_event), visitor_of)
    rows: dict[tuple[str | None, str], Row] = {}

    def count(name: str, key: str | None, sale: Record) -> None:
        row = rows.setdefault((key, sale["currency"]), _nothing_attributed(key, sale["currency"]))
        row[f"{name}_transactions"] += 1
        row[f"{name}_value"] += sale["value"]

    for sale in filter(is_sale, in_period(events, asked)):
        walked = sorted(
            by_visitor.get(visitor_of(sale), []) if visitor_of(sale) else [], key=order_of
        )
        before = [touch(one) for one in walked if order_of(one) < order_of(sale)]
        touched = list(filter(is_touch, before))
        count("last", touched[-1] if touched else touch(sale), sale)
        visit = [one for one in walked if of_event[id(one)] == of_event[id(sale)]]
        count("first", touch(visit[0] if visit else sale), sale)
        linked = [
            one
            for one in events
            if sale.get("ref") in (one["event_id"], one["event_id"][-10:])
            and one["tenant_id"] == sale["tenant_id"]
            and (asked.bots or not one.get("bot"))
            and timedelta(0) < sale["received_at"] - one["received_at"] <= timedelta(days=30)
        ]
        if linked:
            count("linked", touch(max(linked, key=lambda one: one["received_at"])), sale)
    told = sorted(
        rows.values(),
        key=lambda row: (
            -row["last_transactions"],
            -row["last_value"],
            -row["first_transactions"],
            -row["linked_transactions"],
            *nulls_last(row["key"]),
            row["currency"],
        ),
    )
    return told[: asked.limit]


TOUCHES = {
    "channel": "channel",
    "campaign": "utm_campaign",
    "source": "source",
    "page": "path",
    "product": "product",
}


def _nothing_attributed(key: str | None, currency: str) -> Row:
    sums = {
        f"{name}_{what}": nothing
        for name in ("last", "first", "linked")
        for what, nothing in (("transactions", 0), ("value", Decimal(0)))
    }
    return {"key": key, "currency": currency, **sums}
