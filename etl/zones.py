"""Time zones from the package `tzdata`, so that every machine divides time into the same days.

The zone files of the system and of DuckDB are not read. A day starts at its first instant: at the
first of two midnights if the clocks are set back over midnight, and at the first instant after the
gap if they skip midnight.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files as package_files
from zoneinfo import ZoneInfo

_MICROSECOND = timedelta(microseconds=1)


class UnknownZone(ValueError):
    """No zone has this name."""


@cache
def names() -> frozenset[str]:
    """Return the names of all zones."""
    return frozenset(package_files("tzdata").joinpath("zones").read_text().split())


def load(name: str) -> ZoneInfo:
    """Return the zone of that name, such as America/Tegucigalpa. Raises UnknownZone."""
    if name not in names():
        raise UnknownZone
    return _load(name)


@cache
def _load(name: str) -> ZoneInfo:
    with package_files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a day, in UTC. Raises OverflowError beyond the calendar."""
    return first_instant(datetime.combine(day, time()), zone)


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which clocks show `wall` (naive), in UTC.

    If clocks skip `wall`, return the first instant after the gap. Raises OverflowError.
    """
    early, late = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if wall_time(early, zone) == wall:
        return early
    steps = range((late - early) // _MICROSECOND)
    skipped = bisect_left(
        steps, wall, key=lambda step: wall_time(early + step * _MICROSECOND, zone)
    )
    return early + skipped * _MICROSECOND


def wall_time(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the naive time that the zone's clocks show at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """Return the latest day that has begun at a moment."""
    shown = wall_time(moment, zone).date()
    following = shown + timedelta(days=1)
    return following if start_of_day(following, zone) <= moment else shown
