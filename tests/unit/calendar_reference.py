"""Buckets of time by looking at the clocks minute after minute: slow, and plain enough to trust."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files as package_files
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of that name as the package tzdata has it."""
    with package_files("tzdata").joinpath(f"zoneinfo/{name}").open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def bucket(moment: datetime, zone_name: str, interval: str) -> datetime:
    """Where the bucket of a moment begins, in the zone."""
    there = moment.astimezone(zone(zone_name)).replace(second=0, microsecond=0)
    if interval == "hour":
        return _start_of_hour(there)
    shown = there.date()
    day = max(d for d in (shown, _after(shown, 1)) if start_of_day(d, zone_name) <= moment)
    if interval == "week":
        day = _after(day, -day.weekday())
    elif interval == "month":
        day = day.replace(day=1)
    return start_of_day(day, zone_name).astimezone(zone(zone_name))


def _start_of_hour(there: datetime) -> datetime:
    """Back as long as the clocks show this hour and have not been changed."""
    earlier = there
    while _hour(earlier) == _hour(there):
        there, earlier = earlier, (earlier.astimezone(UTC) - _MINUTE).astimezone(there.tzinfo)
    return there


def _hour(there: datetime) -> tuple[object, ...]:
    return there.date(), there.hour, there.utcoffset()


@cache
def start_of_day(day: date, zone_name: str) -> datetime:
    """The first minute at which the clocks show this day or a later one, in UTC."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    while moment.astimezone(zone(zone_name)).date() < day:
        moment += _MINUTE
    return moment


def _after(day: date, days: int) -> date:
    return day + timedelta(days=days)
