"""Mending a damaged or missing sealed segment, so that the rest of its series can be read.

Only an operator starts it: a sealed segment holds nothing but acked lines, so somebody must know of
the loss. The valid lines of a damaged segment are kept with their ordinals, in a fresh chain. All
other bytes go to `.broken`. A segment that is missing or has no valid line is replaced by a segment
with one line of kind `erased`, which no table holds.

A disk may write lines to a wrong place. The chain starts again after damage, so such a copy can
look valid: a line is kept once, in the order of ordinals, and only between the ordinals of the
segments before and after.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from etl import durable
from etl.layout import Layout
from etl.log import closed, compatibility, rewriting, verification
from etl.log.format import Damage, Line
from etl.log.rewriting import Entry
from etl.log.segments import Sealed
from etl.log.store import LocalLog, SegmentStore
from etl.plain import iso

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MendRefused(Exception):
    """There is nothing to mend, or it cannot be mended; the message says why."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The result for a segment: lines kept, damaged bytes saved, whether its file was missing."""

    series: str
    segment: int
    lines: int
    broken_bytes: int
    was_missing: bool


class Place(NamedTuple):
    """A segment's series and number."""

    series: str
    number: int


def run(
    data: Path,
    series: str,
    number: int,
    compacted_to: Callable[[], int],
    store: SegmentStore | None = None,
) -> Mended:
    """Mend one segment, under the log's lock.

    `store` holds it; the log of the data folder by default. `compacted_to` returns the last segment
    of the series that every table of the lake holds: a file up to there that is gone was deleted,
    and is not missing. Only then it is called.

    Raises MendRefused, LogUnavailable, DataFolderError, SeriesFormatError; OSError.
    """
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    store = store or LocalLog.of(layout)
    with durable.locked(layout.log_lock):
        listed = store.sealed().get(series)
        if listed is None:
            raise MendRefused(f"no series {series} in {store.folder}")
        here = [item for item in listed if item.number == number]
        if not here and number <= compacted_to():
            raise MendRefused(f"segment {series}/{number} is in the lake; its file was deleted")
        if here:
            mended = _mend(store, here, listed)
        else:
            mended = _replace_missing(store, listed, Place(series, number))
    log.warning("mended a segment", extra={"fields": {"series": series, "segment": number}})
    return mended


def _mend(store: SegmentStore, here: Sequence[Sealed], listed: Sequence[Sealed]) -> Mended:
    """Mend the segment; a mending that was killed left a second file of its number."""
    segment = next((item for item in here if not _is_whole(item)), None)
    if segment is None:
        raise MendRefused(f"segment {here[0].series}/{here[0].number} is whole")
    data = segment.path.read_bytes()
    lines = _lines_to_keep(segment, listed)
    offsets = {line.offset for line in lines}
    others = [item for item in verification.scan(segment) if item.offset not in offsets]
    broken = b"".join(data[item.offset : _end(item)] for item in others)
    rewriting.save_broken(segment.path.parent, segment.number, broken)
    if lines:
        mended = store.put(segment.series, segment.number, rewriting.entries(lines))
    else:
        mended = _put_placeholder(store, listed, Place(segment.series, segment.number))
    if mended.path != segment.path:  # the same lines have the same name
        store.delete([segment])
    return Mended(segment.series, segment.number, len(lines), len(broken), was_missing=False)


def _is_whole(segment: Sealed) -> bool:
    items = list(verification.scan(segment))
    is_valid = all(isinstance(item, Line) for item in items)
    return is_valid and len(items) == segment.lines and verification.matches_crc(segment)


def _lines_to_keep(segment: Sealed, listed: Sequence[Sealed]) -> list[Line]:
    """Return the segment's own valid lines, each once, ordered by ordinal."""
    before, after = _beside(listed, segment.number)
    above = max((line.seq for line in _undamaged_start(before)), default=0)
    below = next((line.seq for line in _undamaged_start(after)), None)
    lines = {item.seq: item for item in verification.scan(segment) if isinstance(item, Line)}
    return [lines[seq] for seq in sorted(lines) if above < seq and (below is None or seq < below)]


def _undamaged_start(segment: Sealed | None) -> Iterator[Line]:
    """Yield the lines before the first damage, which are the segment's own without a doubt."""
    for item in verification.scan(segment) if segment else ():
        if isinstance(item, Damage):
            return
        yield item


def _beside(listed: Sequence[Sealed], number: int) -> tuple[Sealed | None, Sealed | None]:
    """Return the nearest segments before and after a number."""
    before = next((item for item in reversed(listed) if item.number < number), None)
    return before, next((item for item in listed if item.number > number), None)


def _end(item: Line | Damage) -> int:
    return item.end if isinstance(item, Damage) else item.offset + len(item.data) + 1


def _replace_missing(store: SegmentStore, listed: Sequence[Sealed], place: Place) -> Mended:
    if not any(item.number > place.number for item in listed):
        raise MendRefused(f"series {place.series} has no segment {place.number}, and none after it")
    if store.may_grow(place.series):
        raise MendRefused(
            f"segment {place.series}/{place.number} is missing, and its machine may still ship it; "
            "restart the collectors of that machine, and mend it if it is missing after that; if "
            f"that disk is lost, run `beaconlog ship --lost {place.series}` first"
        )
    _put_placeholder(store, listed, place)
    return Mended(place.series, place.number, 0, 0, was_missing=True)


def _put_placeholder(store: SegmentStore, listed: Sequence[Sealed], place: Place) -> Sealed:
    """Put one line of kind `erased`, whose receipt and ordinal lie between its neighbours'."""
    before, after = _beside(listed, place.number)
    following = next(verification.scan(after), None) if after else None
    previous = deque(verification.scan(before), maxlen=1) if before else ()
    for neighbour, step in ((following, -1), *((item, 1) for item in previous)):
        if isinstance(neighbour, Line):
            record = rewriting.erased(json.loads(neighbour.payload).get("received_at"))
            seq = max(1, neighbour.seq + step)
            return store.put(place.series, place.number, [Entry(record, seq, seq)])
    if any(isinstance(item, Line) for other in listed for item in verification.scan(other)):
        raise MendRefused(
            f"segment {place.series}/{place.number} cannot be replaced: no segment beside it "
            "shows a valid line at that end; mend one of them first"
        )
    # No ordinal is known. Every segment had a line, so the next one's ordinals are greater.
    received_us = closed.read(store.folder / place.series) or 0
    record = rewriting.erased(iso(_EPOCH + timedelta(microseconds=received_us)))
    return store.put(place.series, place.number, [Entry(record, place.number, place.number)])
