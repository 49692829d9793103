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


_Day = tuple[int, int, date]
"""The first microsecond of a day, that of the next day, and the date."""


class LocalDays:
    """The days of each zone that was asked for: the newest one, and one other."""

    def __init__(self) -> None:
        self._newest: dict[str | None, _Day] = {}
        self._other: dict[str | None, _Day] = {}

    def day(self, timezone: str | None, us: int) -> date:
        """Return the date in a zone at `us`, microseconds since the epoch; in UTC without one."""
        newest = self._newest.get(timezone)
        if newest is not None and newest[0] <= us < newest[1]:
            return newest[2]
        other = self._other.get(timezone)
        if other is not None and other[0] <= us < other[1]:
            return other[2]
        found = _day_at(timezone, us)
        if newest is None or us >= newest[1]:
            self._newest[timezone] = found
        else:
            self._other[timezone] = found
        return found[2]


def _day_at(timezone: str | None, us: int) -> _Day:
    try:
        zone = zones.load(timezone or "UTC")
    except zones.UnknownZone:  # another version of the zones read the directory
        zone = zones.load("UTC")
    day = zones.day_of(_EPOCH + us * _MICROSECOND, zone)
    begin, end = zones.start_of_day(day, zone), zones.start_of_day(day + _DAY, zone)
    return (begin - _EPOCH) // _MICROSECOND, (end - _EPOCH) // _MICROSECOND, day
