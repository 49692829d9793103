"""Mending a damaged or missing sealed segment, so that the rest of its series can be read.

Only an operator starts it: a sealed segment holds nothing but acked lines, so somebody must know of
the loss. The valid lines of a damaged segment are kept with their ordinals, in a fresh chain. The
damaged bytes go to `.broken`. A segment that is missing or has no valid line is replaced by a
segment with one line of kind `erased`, which no table holds.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.layout import Layout
from etl.log import compatibility, rewriting, segments, verification
from etl.log.format import Damage, Line
from etl.log.rewriting import Entry
from etl.log.segments import Sealed

log = logging.getLogger(__name__)


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
        mended = _mend(here[0]) if here else _replace_missing(folder, listed, number)
    log.warning("mended a segment", extra={"fields": {"series": series, "segment": number}})
    return mended


def _mend(segment: Sealed) -> Mended:
    data = segment.path.read_bytes()
    items = list(verification.scan(segment))
    lines = [item for item in items if isinstance(item, Line)]
    if len(items) == len(lines) == segment.lines and verification.matches_crc(segment):
        raise MendRefused(f"segment {segment.series}/{segment.number} is whole")
    broken = b"".join(data[item.offset : item.end] for item in items if isinstance(item, Damage))
    folder = segment.path.parent
    rewriting.save_broken(folder, segment.number, broken)
    if lines:
        mended = rewriting.write_sealed(folder, segment.number, rewriting.entries(lines))
    else:
        mended = _write_placeholder(folder, segments.sealed_in(folder), segment.number)
    if mended.path != segment.path:  # the same lines have the same name
        segment.path.unlink(missing_ok=True)
    durable.fsync_path(folder)
    return Mended(segment.series, segment.number, len(lines), len(broken), was_missing=False)


def _replace_missing(folder: Path, listed: Sequence[Sealed], number: int) -> Mended:
    if not any(item.number > number for item in listed):
        raise MendRefused(f"series {folder.name} has no segment {number}, and none after it")
    _write_placeholder(folder, listed, number)
    return Mended(folder.name, number, 0, 0, was_missing=True)


def _write_placeholder(folder: Path, listed: Sequence[Sealed], number: int) -> Sealed:
    """Write one line of kind `erased`, whose receipt and ordinal lie between its neighbours'."""
    after = next((item for item in listed if item.number > number), None)
    before = next((item for item in reversed(listed) if item.number < number), None)
    following = next(verification.scan(after), None) if after else None
    previous = deque(verification.scan(before), maxlen=1) if before else ()
    for neighbour, step in ((following, -1), *((item, 1) for item in previous)):
        if isinstance(neighbour, Line):
            record = rewriting.erased(json.loads(neighbour.payload).get("received_at"))
            seq = max(1, neighbour.seq + step)
            return rewriting.write_sealed(folder, number, [Entry(record, seq, seq)])
    raise MendRefused(
        f"segment {folder.name}/{number} cannot be replaced: no segment beside it shows a valid "
        "line at that end; mend one of them first"
    )
