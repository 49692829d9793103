"""The rule by which a period is compared with the one before it, the same for every number.

The period before has the same length and ends where the period begins. Of a period that is not
over, only what has passed is compared: today until 14:00 with yesterday until 14:00, this week
until Tuesday noon with last week until Tuesday noon, by the clocks of the zone. A period without
an end includes today. One that begins or ends within a day has its length in hours and minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from etl import zones

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """[since, until), in UTC."""

    since: datetime
    until: datetime


def span_before(values: Mapping[str, object], zone: ZoneInfo, now: datetime) -> Span | None:
    """Return the span that the period of `values` (`from`, `to`) is compared with.

    None without a `from`, and where the span would begin before the calendar does.
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
    first, last = (zones.wall_time(moment, zone).date() for moment in (since, end))
    days = last - first
    earlier = zones.start_of_day(first - days, zone)
    if reached == end:
        return Span(earlier, since)
    if reached == since:  # its clocks may show one already, where midnight is skipped
        return Span(earlier, earlier)
    same_time = zones.first_instant(zones.wall_time(reached, zone) - days, zone)
    return Span(earlier, min(max(same_time, earlier), since))
