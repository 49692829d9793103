"""A zone's clocks as a table, from which SQL finds the bucket of a moment: the view `clock`.

One row per stretch of time with one offset, in microseconds since the epoch:

    began_us    the start of the stretch
    ended_us    its end, which is the start of the next stretch
    offset_us   the offset of its clocks from UTC
    fresh_us    the moment from which the clocks show times that they have not shown before
    bucket_us   the start of the bucket that contains `began_us`

A bucket starts when the clocks of the stretch show its start, but not before `fresh_us`: clocks
that were set back repeat times until then. All moments of the stretch before the first such start
are in the bucket of `began_us`. A day, week or month starts at its first instant (see
`etl.zones`). Hours are those that the clocks show: an hour that occurs twice makes two
buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa

from etl import zones
from etl.reports import buckets

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""The range in which changes of offset are looked up."""
_STEP = timedelta(days=3)  # no zone returns to an offset sooner
_LONG_AGO_US, _NEVER_US = -(1 << 62), 1 << 62
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CACHED_MAX = 64


class _Stretch(NamedTuple):
    """A stretch of time with one offset. `fresh_at`: see `fresh_us` above."""

    began_at: datetime
    offset: timedelta
    fresh_at: datetime


@lru_cache(_CACHED_MAX)
def table(zone: ZoneInfo, interval: str) -> pa.Table:
    """Return the clocks of a zone, for buckets of an interval in `parameters.INTERVALS`."""
    first, *later = _stretches(zone)
    rows = [(_LONG_AGO_US, first.offset // _MICROSECOND, _LONG_AGO_US, _LONG_AGO_US)]
    for stretch in later:
        began_at, offset, fresh_at = stretch
        if interval == "hour":
            fresh_at, bucket_at = began_at, began_at
        else:
            bucket_at = _bucket(began_at, zone, interval)
        rows.append((_us(began_at), offset // _MICROSECOND, _us(fresh_at), _us(bucket_at)))
    names = ("began_us", "offset_us", "fresh_us", "bucket_us")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["ended_us"] = [*columns["began_us"][1:], _NEVER_US]
    return pa.table(columns, schema=pa.schema([(name, pa.int64()) for name in columns]))


@lru_cache(_CACHED_MAX)
def _stretches(zone: ZoneInfo) -> list[_Stretch]:
    offset = _offset(_FIRST, zone)
    shown = _FIRST + offset
    stretches = [_Stretch(_FIRST, offset, _FIRST)]
    for changed_at, new_offset in _changes(zone):
        shown = max(shown, changed_at + offset)
        stretches.append(_Stretch(changed_at, new_offset, max(changed_at, shown - new_offset)))
        offset = new_offset
    return stretches


def _changes(zone: ZoneInfo) -> Iterator[tuple[datetime, timedelta]]:
    moment, offset = _FIRST, _offset(_FIRST, zone)
    while moment < _LAST:
        following = moment + _STEP
        if _offset(following, zone) != offset:
            changed_at = _change_between(moment, following, zone)
            offset = _offset(changed_at, zone)
            yield changed_at, offset
            following = changed_at
        moment = following


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment of the first change of offset, to the second."""
    offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _bucket(moment: datetime, zone: ZoneInfo, interval: str) -> datetime:
    day = zones.day_of(moment, zone)
    return zones.start_of_day(buckets.first_day(day, interval), zone)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
