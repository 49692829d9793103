"""The period before, and the reports that compare with it: summary and trend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice

import calendar_reference as calendar

from report_reference.choosing import (
    bucket_of,
    grouped,
    in_period,
    rounded,
    selected,
    total,
    visitors,
)
from report_reference.question import DAY, Question, Record, Row, Shops
from report_reference.values import CONTACTS, TYPES, is_sale


def compared_span(asked: Question) -> tuple[datetime, datetime] | None:
    """As much of the period before as has passed of this one, by the clocks."""
    if asked.first is None or asked.since is None:
        return None
    last = asked.last or _shown_day(max(asked.now, asked.since), asked.tz)
    days = [day for day in _days_from(asked.first, 1) if day <= last and _exists(day, asked.tz)]
    earlier = (day for day in _days_from(asked.first - DAY, -1) if _exists(day, asked.tz))
    before = sorted(islice(earlier, len(days)))
    begins = calendar.start_of_day(before[0], asked.tz) if before else asked.since
    if asked.now >= calendar.start_of_day(last + DAY, asked.tz):
        return begins, asked.since
    shown = asked.now.astimezone(calendar.zone(asked.tz)).replace(tzinfo=None)
    if asked.now <= asked.since or shown.date() < days[0]:
        return begins, begins
    same_day = before[days.index(shown.date())]
    return begins, min(_first_shown(datetime.combine(same_day, shown.time()), asked), asked.since)


def _days_from(first: date, step: int) -> Iterator[date]:
    """Some months of days, on or back."""
    return (first + step * number * DAY for number in range(200))


def _exists(day: date, tz: str) -> bool:
    """Whether the zone's calendar has the day."""
    return calendar.start_of_day(day, tz) < calendar.start_of_day(day + DAY, tz)


def _first_shown(wall: datetime, asked: Question) -> datetime:
    """The first minute at which clocks show that time of its day or a later one."""
    moment = calendar.start_of_day(wall.date(), asked.tz)
    while moment.astimezone(calendar.zone(asked.tz)).replace(tzinfo=None) < wall:
        moment += timedelta(minutes=1)
    return moment


def _shown_day(moment: datetime, tz: str) -> date:
    return moment.astimezone(calendar.zone(tz)).date()


def summary(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    now = grouped(selected(events, asked, asked.since, asked.until), lambda one: one["tenant_id"])
    span = compared_span(asked)
    earlier = selected(events, asked, *span) if span else []
    before = grouped(earlier, lambda one: one["tenant_id"])
    rows = []
    for tenant in {*now, *before}:
        row: Row = {"tenant_id": tenant, "tenant": shops.slugs.get(tenant)}
        measured = _measures(now.get(tenant, []))
        types = Counter(one["type"] for one in now.get(tenant, []))
        row |= {"events": measured["events"], "visitors": measured["visitors"]}
        row |= {name: types[name] for name in TYPES}
        row["transactions"] = measured["transactions"]
        compared = _measures(before.get(tenant, [])) if span else {}
        row |= {f"{name}_before": compared.get(name) for name in measured}
        for name, value in measured.items():
            base = compared.get(name)
            row[f"{name}_change"] = rounded(value / base - 1) if base else None
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["events"], row["tenant_id"]))


def _measures(events: list[Record]) -> dict[str, int]:
    return {
        "events": len(events),
        "visitors": visitors(events),
        "transactions": sum(map(is_sale, events)),
        "contacts": sum(one["type"] in CONTACTS for one in events),
    }


def trend(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    span = compared_span(asked)
    before = selected(events, asked, *span) if span else []
    now = in_period(events, asked)
    sold = Counter(one["currency"] for one in [*now, *before] if is_sale(one))
    main = min(sold, key=lambda name: (-sold[name], name), default=None)
    rows = []
    for period, chosen in (("now", now), ("before", before)):
        buckets = grouped(chosen, lambda one: bucket_of(one, asked))
        for bucket in sorted(buckets):
            rows.append({"bucket": bucket, "period": period, **_figures(buckets[bucket], main)})
    return rows


def _figures(events: list[Record], currency: str | None) -> Row:
    types = Counter(one["type"] for one in events)
    sales = list(filter(is_sale, events))
    return {
        "visitors": visitors(events),
        "events": len(events),
        "views": types["view"],
        "contacts": sum(types[name] for name in CONTACTS),
        "cart_adds": types["cart_add"],
        "transactions": len(sales),
        "value": total([one for one in sales if one["currency"] == currency]),
        "currency": currency,
    }
