"""The visit of each event, and the report visits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median

from report_reference.choosing import grouped, in_period, rounded, visitors
from report_reference.question import Question, Record, Row, Shops
from report_reference.values import is_sale, order_of, visitor_of


def visits(events: list[Record], asked: Question) -> dict[int, int]:
    """The visit of each event of a period by its id(): a number; filters do not divide visits."""
    everything = Question(
        asked.tz, asked.now, asked.first, asked.last, bots=asked.bots, tenant=asked.tenant
    )
    of_event: dict[int, int] = {}
    number = 0
    for visitor, of_it in grouped(in_period(events, everything), visitor_of).items():
        if visitor is None:
            continue
        last: datetime | None = None
        for one in sorted(of_it, key=order_of):
            if last is None or one["occurred_at"] - last >= timedelta(minutes=30):
                number += 1
            last = one["occurred_at"]
            of_event[id(one)] = number
    return of_event


def traffic(chosen: list[Record], of_event: Mapping[int, int]) -> Row:
    return {
        "visitors": visitors(chosen),
        "visits": len({of_event[id(one)] for one in chosen if id(one) in of_event}),
        "events": len(chosen),
        "transactions": sum(map(is_sale, chosen)),
    }


def visits_report(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    of_event = visits(events, asked)
    chosen = {of_event[id(one)] for one in in_period(events, asked) if id(one) in of_event}
    by_visit = grouped(
        (one for one in events if of_event.get(id(one)) in chosen), lambda one: of_event[id(one)]
    )
    lasted = sorted(
        (max(times) - min(times)) // timedelta(microseconds=1)
        for times in ([one["occurred_at"] for one in of_it] for of_it in by_visit.values())
    )
    bounces = sum(len(of) == 1 and of[0]["type"] == "view" for of in by_visit.values())
    views = sum(one["type"] == "view" for of in by_visit.values() for one in of)
    count = len(by_visit)
    return [
        {
            "visits": count,
            "visitors": len({(visitor_of(of_it[0])) for of_it in by_visit.values()}),
            "bounces": bounces,
            "bounce_rate": rounded(bounces / count) if count else None,
            "views": views,
            "pages_per_visit": rounded(views / count) if count else None,
            "duration_s_median": rounded(median(lasted) / 1_000_000) if count else None,
            "duration_s_mean": rounded(sum(lasted) / count / 1_000_000) if count else None,
        }
    ]
