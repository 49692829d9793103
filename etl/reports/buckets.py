"""The starts of the buckets of a period, with or without events.

list(starts(since, until, "day", zone))    # the first instant of each day, in UTC
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from etl import zones

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


def starts(since: datetime, until: datetime, interval: str, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the start of each bucket that overlaps [since, until), in UTC, oldest first.

    `interval` is one of `parameters.INTERVALS`. Raises OverflowError beyond the calendar.
    """
    begin = _hours(since, zone) if interval == "hour" else _days(since, interval, zone)
    for start in begin:
        if start >= until:
            return
        yield start


def _hours(since: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    shown = zones.wall_time(since, zone)
    start = since.astimezone(UTC) - (shown - shown.replace(minute=0, second=0, microsecond=0))
    while True:
        yield start
        start += _HOUR


def _days(since: datetime, interval: str, zone: ZoneInfo) -> Iterator[datetime]:
    day = first_day(zones.wall_time(since, zone).date(), interval)
    while True:
        yield zones.start_of_day(day, zone)
        day = _next_day(day, interval)


def first_day(day: date, interval: str) -> date:
    """Return the first day of the day, week or month that contains `day`."""
    if interval == "week":
        return day - day.weekday() * _DAY
    return day.replace(day=1) if interval == "month" else day


def _next_day(day: date, interval: str) -> date:
    if interval == "month":
        return (day + 31 * _DAY).replace(day=1)
    return day + (7 if interval == "week" else 1) * _DAY
