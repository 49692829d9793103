"""The calendar days of shops, by the clocks of their time zones.

A day begins at its first instant in the zone, so a day of a change of clocks is longer or shorter,
and days follow one another without a gap (`etl.zones`). Between two changes of day, asking costs a
look-up and two comparisons.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from etl import zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class LocalDays:
    """The current day of each zone that was asked for; at most one per zone that exists."""

    def __init__(self) -> None:
        self._current: dict[str | None, tuple[int, int, date]] = {}
        """The day of a zone: its first microsecond, that of the next day, and its date."""

    def day(self, timezone: str | None, us: int) -> date:
        """Return the date in a zone at `us`, microseconds since the epoch; in UTC without one."""
        current = self._current.get(timezone)
        if current is None or not current[0] <= us < current[1]:
            current = self._current[timezone] = _day_at(timezone, us)
        return current[2]


def _day_at(timezone: str | None, us: int) -> tuple[int, int, date]:
    try:
        zone = zones.load(timezone or "UTC")
    except zones.UnknownZone:  # another version of the zones read the directory
        zone = zones.load("UTC")
    day = zones.day_of(_EPOCH + us * _MICROSECOND, zone)
    begin, end = zones.start_of_day(day, zone), zones.start_of_day(day + _DAY, zone)
    return (begin - _EPOCH) // _MICROSECOND, (end - _EPOCH) // _MICROSECOND, day
