"""Every report in plain Python, from the records as they were sent: no SQL, and no code of etl.

Records are dicts with the fields of a log line; times are datetimes in UTC. A refused payload's
`tenant` is the one that the endpoint would have found. `Question` is what a report is asked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from statistics import median
from typing import Any

import calendar_reference as calendar

Record = dict[str, Any]
Row = dict[str, Any]

DAY = timedelta(days=1)
TYPES = (
    "view",
    "whatsapp_click",
    "call",
    "call_click",
    "maps_click",
    "location_view",
    "cart_add",
    "social_share",
    "conversion",
    "purchase",
)
CONTACTS = ("whatsapp_click", "call", "call_click", "maps_click", "location_view")
STEPS = {
    "view": ("view",),
    "contact": CONTACTS,
    "cart": ("cart_add",),
    "purchase": ("purchase", "conversion"),
}


@dataclass(frozen=True)
class Question:
    """A report's parameters; `first` and `last` are whole days of the zone, both included."""

    tz: str
    now: datetime
    first: date | None = None
    last: date | None = None
    interval: str = "day"
    bots: bool = False
    limit: int = 50
    tenant: int | None = None
    endpoint: str | None = None
    type: str | None = None
    product: int | None = None
    source: str | None = None
    steps: str | None = None
    within: str | None = None
    by: str | None = None
    measure: str = "events"
    touch: str | None = None
    """The kind of touch that sales are attributed to."""
    path: str | None = None
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    channel: str | None = None
    device: str | None = None
    browser: str | None = None
    country: str | None = None

    @property
    def since(self) -> datetime | None:
        return calendar.start_of_day(self.first, self.tz) if self.first else None

    @property
    def until(self) -> datetime | None:
        return calendar.start_of_day(self.last + DAY, self.tz) if self.last else None


@dataclass
class Shops:
    """The content of the directory."""

    slugs: dict[int, str] = field(default_factory=dict)
    products: dict[tuple[int, int], str] = field(default_factory=dict)
    prices: dict[tuple[int, int], Decimal] = field(default_factory=dict)


def without_duplicates(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """(events, those that came again): the first by receipt wins, within the window of its key."""
    kept: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    events, again = [], []
    for one in sorted(records, key=lambda one: one["received_at"]):
        key = one.get("dedupe_key")
        if key:
            window = timedelta(days=30 if key.startswith(("tx:", "stx:")) else 1)
            receipts = kept[one["tenant_id"], key]
            if any(one["received_at"] - earlier <= window for earlier in receipts):
                again.append(one)
                continue
            receipts.append(one["received_at"])
        events.append(one)
    again += [one for one in events if _is_outranked(one, kept)]
    return [one for one in events if not _is_outranked(one, kept)], again


def _is_outranked(one: Record, kept: Mapping[tuple[int, str], list[datetime]]) -> bool:
    """Whether a signed sale of its transaction was received within 30 days of an unsigned one."""
    key = one.get("dedupe_key") or ""
    signed = kept.get((one["tenant_id"], f"s{key}"), []) if key.startswith("tx:") else []
    return any(abs(one["received_at"] - other) <= timedelta(days=30) for other in signed)


# -- choosing ---------------------------------------------------------------------------------


def selected(
    events: Iterable[Record], asked: Question, since: datetime | None, until: datetime | None
) -> list[Record]:
    """The events that a question is about, in a span of time."""
    return [
        one
        for one in events
        if (since is None or one["occurred_at"] >= since)
        and (until is None or one["occurred_at"] < until)
        and (asked.bots or not one.get("bot"))
        and asked.tenant in (None, one["tenant_id"])
        and all(getattr(asked, name) in (None, of_it(one)) for name, of_it in DIMENSIONS.items())
    ]


def _column(name: str, stated: str | None = None) -> Callable[[Record], Any]:
    """The value of a column; where it is null, what old trackers stated in metadata."""
    return lambda one: one.get(name) or (_stated(one).get(stated) or None)


def _stated(one: Record) -> Record:
    return {} if one.get("channel_rules") else one.get("metadata") or {}


def _referrer(one: Record) -> str | None:
    host = _stated(one).get("referrer") or ""
    if "/" not in host:
        host = re.sub(r"^www\.|:.*$", "", host)
    return one.get("referrer") or host or None


def source_of(one: Record) -> str:
    return str(DIMENSIONS["utm_source"](one) or DIMENSIONS["referrer"](one) or "direct")


DIMENSIONS: dict[str, Callable[[Record], Any]] = {
    "endpoint": _column("endpoint"),
    "type": _column("type"),
    "product": _column("product_id"),
    "source": source_of,
    "path": _column("path", "path"),
    "referrer": _referrer,
    "utm_source": _column("utm_source", "source"),
    "utm_medium": _column("utm_medium"),
    "utm_campaign": _column("utm_campaign"),
    "channel": _column("channel"),
    "device": _column("device"),
    "browser": _column("browser"),
    "country": _column("country"),
}


def is_sale(one: Record) -> bool:
    return one["endpoint"] == "conversion" and one["type"] in ("purchase", "conversion")


def visitors(events: Iterable[Record]) -> int:
    return len({one["visitor_id"] for one in events if one.get("visitor_id")})


def rounded(value: float) -> float:
    """To four decimals, halves away from zero."""
    return math.copysign(math.floor(abs(value) * 1e4 + 0.5) / 1e4, value)


def grouped(events: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = defaultdict(list)
    for one in events:
        groups[key(one)].append(one)
    return groups


# -- reports ----------------------------------------------------------------------------------


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


def shop_revenue(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    sales = grouped(
        filter(is_sale, in_period(events, asked)), lambda one: (one["tenant_id"], one["currency"])
    )
    rows = [
        {
            "tenant_id": tenant,
            "tenant": shops.slugs.get(tenant),
            "currency": currency,
            "transactions": len(sold),
            "value": total(sold),
        }
        for (tenant, currency), sold in sales.items()
    ]
    return sorted(rows, key=lambda row: (row["tenant_id"], -row["transactions"], row["currency"]))


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


def in_period(events: list[Record], asked: Question) -> list[Record]:
    return selected(events, asked, asked.since, asked.until)


def bucket_of(one: Record, asked: Question) -> datetime:
    """In UTC, where times are in one order."""
    return calendar.bucket(one["occurred_at"], asked.tz, asked.interval).astimezone(UTC)


def funnel(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    chosen = in_period(events, asked)
    if asked.steps:
        return _ordered_steps(chosen, asked.steps.split(","), asked.within)
    rows = []
    for step, types in STEPS.items():
        taken = [one for one in chosen if one["type"] in types]
        rows.append({"step": step, "visitors": visitors(taken), "events": len(taken)})
    return rows


WITHIN = {None: timedelta.max, "30m": timedelta(minutes=30), "1d": timedelta(days=1)}


def _ordered_steps(chosen: list[Record], steps: list[str], within: str | None) -> list[Row]:
    """Every way of every visitor: from each event of the first step to events that follow."""
    reached: list[set[str]] = [set() for _ in steps]
    for visitor, of_it in grouped(chosen, visitor_of).items():
        in_order = sorted(of_it, key=order_of) if visitor else []
        ways = [(one["occurred_at"], index) for index, one in enumerate(in_order)]
        ways = [way for way in ways if _takes(in_order[way[1]], steps[0])]
        for number, step in enumerate(steps):
            if number:
                ways = [
                    (began_at, later)
                    for began_at, index in ways
                    for later in range(index + 1, len(in_order))
                    if _takes(in_order[later], step)
                    and in_order[later]["occurred_at"] - began_at <= WITHIN[within]
                ]
                ways = list(set(ways))
            if ways:
                reached[number].add(visitor)
    return [
        {
            "step": step,
            "visitors": len(reached[number]),
            "events": sum(_takes(one, step) for one in chosen),
        }
        for number, step in enumerate(steps)
    ]


def _takes(one: Record, step: str) -> bool:
    type_, *narrowed = step.split(":")
    return (one["type"] in CONTACTS if type_ == "contact" else one["type"] == type_) and all(
        str(DIMENSIONS[name](one)) == value
        for name, value in (each.split("=") for each in narrowed)
    )


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


def revenue(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    sales = grouped(filter(is_sale, in_period(events, asked)), lambda one: one["currency"])
    rows = [
        {"currency": currency, "transactions": len(sold), "value": total(sold)}
        for currency, sold in sales.items()
    ]
    return sorted(rows, key=lambda row: (-row["value"], row["currency"]))


def signed_sales(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    sales = grouped(filter(is_sale, in_period(events, asked)), lambda one: one["currency"])
    rows = []
    for currency, sold in sorted(sales.items(), key=lambda item: (-total(item[1]), item[0])):
        row: Row = {"currency": currency}
        for name, is_signed in (("verified", True), ("claimed", False)):
            part = [one for one in sold if bool(one.get("signed")) == is_signed]
            row |= {f"{name}_transactions": len(part), f"{name}_value": total(part)}
        rows.append(row)
    return rows


def total(sold: list[Record]) -> Decimal:
    return sum((one["value"] for one in sold), Decimal(0))


def conversion_rate(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    rows = []
    for tenant, chosen in grouped(in_period(events, asked), lambda one: one["tenant_id"]).items():
        seen, sold = visitors(chosen), sum(map(is_sale, chosen))
        row = {"tenant_id": tenant, "tenant": shops.slugs.get(tenant), "visitors": seen}
        rows.append(row | {"transactions": sold, "rate": rounded(sold / seen) if seen else None})
    return sorted(rows, key=lambda row: (-row["transactions"], -row["visitors"], row["tenant_id"]))


def sources(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    rows = [
        {
            "source": source,
            "visitors": visitors(chosen),
            "events": len(chosen),
            "transactions": sum(map(is_sale, chosen)),
        }
        for source, chosen in grouped(in_period(events, asked), source_of).items()
    ]
    ordered = sorted(rows, key=lambda row: (-row["visitors"], -row["events"], row["source"]))
    return ordered[: asked.limit]


def top_products(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    chosen = [one for one in in_period(events, asked) if one.get("product_id") is not None]
    rows = []
    for (tenant, product), of_it in grouped(
        chosen, lambda one: (one["tenant_id"], one["product_id"])
    ).items():
        sold = list(filter(is_sale, of_it))
        main, revenue, others = earnings(sold)
        rows.append(
            {
                "product_id": product,
                "name": shops.products.get((tenant, product)),
                "views": sum(one["type"] == "view" for one in of_it),
                "cart_adds": sum(one["type"] == "cart_add" for one in of_it),
                "purchases": len(sold),
                "revenue": revenue,
                "currency": main,
                "other_revenue": others,
                "tenant_id": tenant,
            }
        )
    measures = ("purchases", "cart_adds", "views")
    rows.sort(key=lambda row: (*(-row[name] for name in measures), *_product(row)))
    return rows[: asked.limit]


def _product(row: Row) -> tuple[int, int]:
    return row["tenant_id"], row["product_id"]


# -- visits, pages and dimensions -------------------------------------------------------------


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


def visitor_of(one: Record) -> Any:
    return one.get("visitor_id")


def order_of(one: Record) -> tuple[datetime, datetime]:
    return one["occurred_at"], one["received_at"]


def by_dimension(name: str) -> Callable[[list[Record], Question, Shops], list[Row]]:
    def report(events: list[Record], asked: Question, _: Shops) -> list[Row]:
        of_event = visits(events, asked)
        rows = [
            {name: value, **traffic(chosen, of_event)}
            for value, chosen in grouped(in_period(events, asked), DIMENSIONS[name]).items()
        ]
        rows.sort(key=lambda row: (-row["visitors"], -row["events"], *nulls_last(row[name])))
        return rows[: asked.limit] if name in ("browser", "country") else rows

    return report


def nulls_last(value: Any) -> tuple[bool, Any]:
    return value is None, value or ""


def traffic(chosen: list[Record], of_event: Mapping[int, int]) -> Row:
    return {
        "visitors": visitors(chosen),
        "visits": len({of_event[id(one)] for one in chosen if id(one) in of_event}),
        "events": len(chosen),
        "transactions": sum(map(is_sale, chosen)),
    }


def campaigns(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    of_event = visits(events, asked)
    names = ("utm_source", "utm_medium", "utm_campaign")
    rows = []
    for key, chosen in grouped(
        in_period(events, asked), lambda one: tuple(DIMENSIONS[name](one) for name in names)
    ).items():
        if any(key):
            row = dict(zip(names, key, strict=True)) | traffic(chosen, of_event)
            main, value, others = earnings(list(filter(is_sale, chosen)))
            rows.append(row | {"value": value, "currency": main, "other_value": others})
    rows.sort(
        key=lambda row: (
            -row["visitors"],
            -row["events"],
            *(nulls_last(row[name]) for name in names),
        )
    )
    return rows[: asked.limit]


def earnings(sold: list[Record]) -> tuple[str | None, Decimal, str | None]:
    """The currency of most of these sales, their value in it, and the sums in the others."""
    earned = grouped(sold, lambda one: one["currency"])
    main = min(earned, key=lambda name: (-len(earned[name]), name), default=None)
    others = sorted(name for name in earned if name != main)
    told = ", ".join(f"{total(earned[name]):.4f} {name}" for name in others)
    return main, total(earned[main]) if main else Decimal(0), told or None


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


def pages(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    of_event = visits(events, asked)
    by_visit = grouped(
        (one for one in events if id(one) in of_event), lambda one: of_event[id(one)]
    )
    rows = []
    path = DIMENSIONS["path"]
    for page, chosen in grouped(in_period(events, asked), path).items():
        if page is None:
            continue
        walked = [
            sorted(by_visit[number], key=order_of)
            for number in {of_event[id(one)] for one in chosen if id(one) in of_event}
        ]
        shown = [[path(one) for one in visit if path(one)] for visit in walked]
        seen = traffic(chosen, of_event)
        rows.append(
            {
                "path": page,
                "visitors": seen["visitors"],
                "visits": seen["visits"],
                "views": sum(one["type"] == "view" for one in chosen),
                "entries": sum(paths[0] == page for paths in shown),
                "exits": sum(paths[-1] == page for paths in shown),
                "bounces": sum(len(visit) == 1 and visit[0]["type"] == "view" for visit in walked),
                "events": seen["events"],
                "transactions": seen["transactions"],
            }
        )
    rows.sort(
        key=lambda row: (*(-row[name] for name in ("visitors", "views", "events")), row["path"])
    )
    return rows[: asked.limit]


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


def abandoned_carts(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    everything = Question(
        asked.tz, asked.now, asked.first, asked.last, bots=asked.bots, tenant=asked.tenant
    )
    period = in_period(events, everything)
    sold = [one for one in period if one["type"] in ("purchase", "conversion")]
    named = {(one["tenant_id"], one["ref"]) for one in sold if one.get("ref")}
    bought = {visitor_of(one) for one in sold} | {
        visitor_of(one)
        for one in period
        if {(one["tenant_id"], one["event_id"][start:]) for start in (0, -10)} & named
    }
    left = {
        (one["tenant_id"], one.get("product_id"), visitor_of(one))
        for one in in_period(events, asked)
        if one["type"] == "cart_add" and visitor_of(one) and visitor_of(one) not in bought
    }
    carts = Counter((tenant, product) for tenant, product, _ in left)
    rows = []
    for (tenant, product), count in carts.items():
        price = shops.prices.get((tenant, product))
        rows.append(
            {
                "tenant_id": tenant,
                "tenant": shops.slugs.get(tenant),
                "product_id": product,
                "name": shops.products.get((tenant, product)),
                "carts": count,
                "value": None if price is None else price * count,
                "currency": None,
            }
        )
    rows.sort(key=lambda row: (-row["carts"], row["tenant_id"], *nulls_last(row["product_id"])))
    return rows[: asked.limit]


def product_funnel(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    chosen = [
        one
        for one in in_period(events, asked)
        if one.get("product_id") is not None and visitor_of(one)
    ]
    names = dict(zip(STEPS, ("viewers", "contact", "cart", "purchase"), strict=True))
    rows = []
    for (tenant, product), of_it in grouped(
        chosen, lambda one: (one["tenant_id"], one["product_id"])
    ).items():
        counts = {
            names[step]: len({visitor_of(one) for one in of_it if one["type"] in types})
            for step, types in STEPS.items()
        }
        if any(counts.values()):
            name = shops.products.get((tenant, product))
            rows.append({"product_id": product, "name": name, **counts, "tenant_id": tenant})
    order = ("purchase", "cart", "viewers", "contact")
    rows.sort(key=lambda row: (*(-row[name] for name in order), *_product(row)))
    return rows[: asked.limit]


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


def quality(
    events: list[Record], again: list[Record], refused: list[Record], asked: Question
) -> list[Row]:
    everyone = Question(
        asked.tz, asked.now, asked.first, asked.last, bots=True, tenant=asked.tenant,
        endpoint=asked.endpoint,
    )  # fmt: skip
    accepted = in_period(events, everyone)
    reasons = Counter(
        one["reason"]
        for one in refused
        if (asked.since is None or one["received_at"] >= asked.since)
        and (asked.until is None or one["received_at"] < asked.until)
        and asked.tenant in (None, one["tenant"])
        and asked.endpoint in (None, one["endpoint"])
    )
    counted = {
        "accepted": len(accepted),
        "bots": sum(bool(one.get("bot")) for one in accepted),
        "duplicates": len(in_period(again, everyone)),
    }
    told = [(name, None, n, None) for name, n in counted.items()]
    other = grouped(_disagreeing(events, in_period(again, everyone)), lambda one: one["currency"])
    amounts = [("another-amount", name, len(of_it), total(of_it)) for name, of_it in other.items()]
    refusals = [("rejected", reason, n, None) for reason, n in reasons.items()]
    for part in (amounts, refusals):
        told += sorted(part, key=lambda row: (-row[2], row[1]))
    return [dict(zip(("outcome", "reason", "events", "value"), row, strict=True)) for row in told]


def _disagreeing(events: list[Record], again: list[Record]) -> list[Record]:
    """The repeats of a transaction that say another amount than the event that counts."""
    kept = grouped(events, lambda one: (one["tenant_id"], one.get("transaction_id")))
    return [
        one
        for one in again
        if one.get("transaction_id")
        and not any(
            (of_it["value"], of_it["currency"]) == (one["value"], one["currency"])
            for of_it in kept[one["tenant_id"], one["transaction_id"]]
            if abs(of_it["received_at"] - one["received_at"]) <= timedelta(days=30)
        )
    ]


def shops_report(_: list[Record], asked: Question, shops: Shops) -> list[Row]:
    rows = [
        {"tenant_id": tenant, "tenant": slug, "name": slug, "status": "active"}
        for tenant, slug in sorted(shops.slugs.items(), key=lambda item: (item[1], item[0]))
        if asked.tenant in (None, tenant)
    ]
    return rows[: asked.limit]


REPORTS: dict[str, Callable[[list[Record], Question, Shops], list[Row]]] = {
    "abandoned-carts": abandoned_carts,
    "activity": activity,
    "attribution": attribution,
    "breakdown": breakdown,
    "browsers": by_dimension("browser"),
    "campaigns": campaigns,
    "channels": by_dimension("channel"),
    "conversion-rate": conversion_rate,
    "countries": by_dimension("country"),
    "devices": by_dimension("device"),
    "funnel": funnel,
    "heard": heard,
    "hours": hours,
    "pages": pages,
    "product-funnel": product_funnel,
    "recent": recent,
    "revenue": revenue,
    "shop-revenue": shop_revenue,
    "shops": shops_report,
    "signed-sales": signed_sales,
    "sources": sources,
    "summary": summary,
    "timeseries": timeseries,
    "top-products": top_products,
    "trend": trend,
    "visitors": visitors_report,
    "visits": visits_report,
}
"""All but quality, which reads more than events."""
