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

from etl import durable
from etl.layout import Layout
from etl.log import closed, compatibility, rewriting, segments, verification
from etl.log.format import Damage, Line
from etl.log.rewriting import Entry
from etl.log.segments import Sealed
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


def run(data: Path, series: str, number: int, compacted_to: Callable[[], int]) -> Mended:
    """Mend one segment, under the log's lock.

    `compacted_to` returns the last segment of the series that every table of the lake holds: a
    file up to there that is gone was deleted, and is not missing. Only then it is called.

    Raises MendRefused, DataFolderError, SeriesFormatError; OSError.
    """
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    folder = layout.log / series
    if folder not in segments.series_folders(layout.log):
        raise MendRefused(f"no series {series} in {layout.log}")
    with durable.locked(layout.log_lock):
        listed = segments.sealed_in(folder)
        here = [item for item in listed if item.number == number]
        if not here and number <= compacted_to():
            raise MendRefused(f"segment {series}/{number} is in the lake; its file was deleted")
        mended = _mend(here, listed) if here else _replace_missing(folder, listed, number)
    log.warning("mended a segment", extra={"fields": {"series": series, "segment": number}})
    return mended


def _mend(here: Sequence[Sealed], listed: Sequence[Sealed]) -> Mended:
    """Mend the segment; a mending that was killed left a second file of its number."""
    segment = next((item for item in here if not _is_whole(item)), None)
    if segment is None:
        raise MendRefused(f"segment {here[0].series}/{here[0].number} is whole")
    data = segment.path.read_bytes()
    lines = _lines_to_keep(segment, listed)
    offsets = {line.offset for line in lines}
    others = [item for item in verification.scan(segment) if item.offset not in offsets]
    broken = b"".join(data[item.offset : _end(item)] for item in others)
    folder = segment.path.parent
    rewriting.save_broken(folder, segment.number, broken)
    if lines:
        mended = rewriting.write_sealed(folder, segment.number, rewriting.entries(lines))
    else:
        mended = _write_placeholder(folder, listed, segment.number)
    if mended.path != segment.path:  # the same lines have the same name
        segment.path.unlink(missing_ok=True)
    durable.fsync_path(folder)
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


def _replace_missing(folder: Path, listed: Sequence[Sealed], number: int) -> Mended:
    if not any(item.number > number for item in listed):
        raise MendRefused(f"series {folder.name} has no segment {number}, and none after it")
    _write_placeholder(folder, listed, number)
    return Mended(folder.name, number, 0, 0, was_missing=True)


def _write_placeholder(folder: Path, listed: Sequence[Sealed], number: int) -> Sealed:
    """Write one line of kind `erased`, whose receipt and ordinal lie between its neighbours'."""
    before, after = _beside(listed, number)
    following = next(verification.scan(after), None) if after else None
    previous = deque(verification.scan(before), maxlen=1) if before else ()
    for neighbour, step in ((following, -1), *((item, 1) for item in previous)):
        if isinstance(neighbour, Line):
            record = rewriting.erased(json.loads(neighbour.payload).get("received_at"))
            seq = max(1, neighbour.seq + step)
            return rewriting.write_sealed(folder, number, [Entry(record, seq, seq)])
    if any(isinstance(item, Line) for other in listed for item in verification.scan(other)):
        raise MendRefused(
            f"segment {folder.name}/{number} cannot be replaced: no segment beside it shows a "
            "valid line at that end; mend one of them first"
        )
    # No ordinal is known. Every segment had a line, so the next one's ordinals are greater.
    received_us = closed.read(folder) or 0
    record = rewriting.erased(iso(_EPOCH + timedelta(microseconds=received_us)))
    return rewriting.write_sealed(folder, number, [Entry(record, number, number)])
