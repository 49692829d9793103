"""The reports that list: the latest events, and the shops."""

from __future__ import annotations

from report_reference.choosing import in_period
from report_reference.question import Question, Record, Row, Shops


def recent(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    latest = sorted(in_period(events, asked), key=lambda one: one["received_at"], reverse=True)
    names = ("type", "product_id", "transaction_id", "value", "currency", "visitor_id", "event_id")
    return [
        {
            "received_at": one["received_at"],
            "occurred_at": one["occurred_at"],
            "tenant_id": one["tenant_id"],
            "tenant": shops.slugs.get(one["tenant_id"]),
            **{name: one.get(name) for name in names},
        }
        for one in latest[: asked.limit]
    ]


def shops_report(_: list[Record], asked: Question, shops: Shops) -> list[Row]:
    rows = [
        {"tenant_id": tenant, "tenant": slug, "name": slug, "status": "active"}
        for tenant, slug in sorted(shops.slugs.items(), key=lambda item: (item[1], item[0]))
        if asked.tenant in (None, tenant)
    ]
    return rows[: asked.limit]
