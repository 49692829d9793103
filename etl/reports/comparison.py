"""The rule that compares a period with the previous one, the same for every number.

The previous period has the same length and ends where the period begins. While a period is not
over, only the part that has passed is compared: today until 14:00 with yesterday until 14:00, this
week until Tuesday noon with last week until Tuesday noon, by the clocks of the zone. A period
without an end includes today. Lengths are counted in days; if the period begins or ends within a
day, its length is the elapsed time.

A day that the zone's calendar skips is not counted: Samoa had no 2011-12-30, so the 31st is
compared with the 29th, and the 29th with the 28th.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from etl import zones

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """[since, until), in UTC."""

    since: datetime
    until: datetime


def bounds(span: Span | None) -> dict[str, datetime | None]:
    """Return the parameters `compared_from` and `compared_to`; both None for no previous period."""
    return {
        "compared_from": span.since if span else None,
        "compared_to": span.until if span else None,
    }


def span_before(values: Mapping[str, object], zone: ZoneInfo, now: datetime) -> Span | None:
    """Return the span that the period of `values` (`from`, `to`) is compared with.

    None without a `from`, and if the span would begin before the first day of the calendar.
    """
    since, until = values.get("from"), values.get("to")
    if not isinstance(since, datetime):
        return None
    try:
        end = until if isinstance(until, datetime) else _open_end(since, zone, now)
        reached = min(max(now, since), end).astimezone(UTC)
        if _begins_a_day(since, zone) and _begins_a_day(end, zone):
            return _days_before(since, end, reached, zone)
        earlier = since - (end - since)
        return Span(earlier, earlier + (reached - since))
    except OverflowError:
        return None


def _open_end(since: datetime, zone: ZoneInfo, now: datetime) -> datetime:
    latest = max(since, now)
    if not _begins_a_day(since, zone):
        return latest
    return zones.start_of_day(zones.wall_time(latest, zone).date() + _DAY, zone)


def _begins_a_day(moment: datetime, zone: ZoneInfo) -> bool:
    return moment == zones.start_of_day(zones.wall_time(moment, zone).date(), zone)


def _days_before(since: datetime, end: datetime, reached: datetime, zone: ZoneInfo) -> Span:
    days = _days(since, end)
    earlier = zones.start_of_day(_day_before(since, days, zone), zone)
    if reached == end:
        return Span(earlier, since)
    if reached == since:  # where midnight is skipped, clocks already show a later time
        return Span(earlier, earlier)
    shown = zones.wall_time(reached, zone)
    passed = _days(since, zones.start_of_day(shown.date(), zone))
    same_day = _day_before(since, days - passed, zone)
    same_time = zones.first_instant(datetime.combine(same_day, shown.time()), zone)
    return Span(earlier, min(max(same_time, earlier), since))


def _days(since: datetime, end: datetime) -> int:
    """Return the number of days between two starts of days.

    It is rounded from the elapsed time: a skipped day is not counted, a day of 23 or 25 hours is.
    """
    return round((end - since) / _DAY)


def _day_before(moment: datetime, days: int, zone: ZoneInfo) -> date:
    """Return the day that begins `days` days before the day that begins at `moment`."""
    day = zones.wall_time(moment, zone).date() - days * _DAY
    while _days(zones.start_of_day(day, zone), moment) < days:
        day -= _DAY
    return day
