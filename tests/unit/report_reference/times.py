"""The reports of when: timeseries, activity, visitors, hours, and when a shop was last heard."""

from __future__ import annotations

from datetime import UTC

import calendar_reference as calendar

from report_reference.choosing import bucket_of, grouped, in_period, visitors
from report_reference.question import Question, Record, Row, Shops


def timeseries(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    chosen = grouped(in_period(events, asked), lambda one: (bucket_of(one, asked), one["type"]))
    return [
        {"bucket": bucket, "type": type_, "events": len(chosen[bucket, type_])}
        for bucket, type_ in sorted(chosen)
    ]


def activity(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    chosen = grouped(
        in_period(events, asked), lambda one: (one["tenant_id"], bucket_of(one, asked))
    )
    return [
        {"tenant_id": tenant, "bucket": bucket, "events": len(chosen[tenant, bucket])}
        for tenant, bucket in sorted(chosen)
    ]


def visitors_report(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    chosen = grouped(in_period(events, asked), lambda one: bucket_of(one, asked))
    return [
        {"bucket": bucket, "visitors": visitors(chosen[bucket]), "events": len(chosen[bucket])}
        for bucket in sorted(chosen)
    ]


def heard(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    rows = []
    for tenant, chosen in grouped(in_period(events, asked), lambda one: one["tenant_id"]).items():
        days = {one["occurred_at"].astimezone(UTC).date() for one in chosen}
        rows.append(
            {
                "tenant_id": tenant,
                "tenant": shops.slugs.get(tenant),
                "heard_at": max(one["occurred_at"] for one in chosen),
                "active_days": sum((max(days) - day).days < 7 for day in days),
            }
        )
    rows.sort(key=lambda row: row["tenant_id"])
    return sorted(rows, key=lambda row: row["heard_at"], reverse=True)


def hours(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    def hour(one: Record) -> tuple[int, int]:
        shown = one["occurred_at"].astimezone(calendar.zone(asked.tz))
        return shown.isoweekday(), shown.hour

    chosen = grouped(in_period(events, asked), hour)
    return [
        {
            "weekday": key[0],
            "hour": key[1],
            "events": len(chosen[key]),
            "visitors": visitors(chosen[key]),
        }
        for key in sorted(chosen)
    ]
