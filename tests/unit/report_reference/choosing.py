"""The events that a question is about, and what every report does with them: group, count, add."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import calendar_reference as calendar

from report_reference.question import Question, Record
from report_reference.values import DIMENSIONS


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


def in_period(events: list[Record], asked: Question) -> list[Record]:
    return selected(events, asked, asked.since, asked.until)


def bucket_of(one: Record, asked: Question) -> datetime:
    """In UTC, where times are in one order."""
    return calendar.bucket(one["occurred_at"], asked.tz, asked.interval).astimezone(UTC)


def total(sold: list[Record]) -> Decimal:
    return sum((one["value"] for one in sold), Decimal(0))


def nulls_last(value: Any) -> tuple[bool, Any]:
    return value is None, value or ""
