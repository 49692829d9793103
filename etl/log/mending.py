"""Mending a sealed segment that is damaged or missing, so that its series can be read on.

By hand only: a sealed segment holds nothing but acked lines, so somebody must know of the loss.
The valid lines of a damaged one are kept with their ordinals, in a fresh chain; its damaged bytes
go to `.broken`. In the place of a missing one, or of one without a valid line, comes a segment of a
single line of kind `erased`, which no table keeps.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.layout import Layout
from etl.log import compatibility, segments
from etl.log.segments import ERASED_KIND, Damage, Line, Sealed, SegmentCorrupt

log = logging.getLogger(__name__)


class MendRefused(Exception):
    """There is nothing to mend, or nothing that can be; the message says why."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a segment. `broken_bytes` were saved; `was_missing`: nothing was there."""

    series: str
    segment: int
    lines: int
    broken_bytes: int
    was_missing: bool


def run(data: Path, series: str, number: int) -> Mended:
    """Mend one segment, under the log's lock.

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
        mended = _mend(here[0]) if here else _replace_missing(folder, listed, number)
    log.warning("mended a segment", extra={"fields": {"series": series, "segment": number}})
    return mended


def _mend(segment: Sealed) -> Mended:
    if _is_whole(segment):
        raise MendRefused(f"segment {segment.series}/{segment.number} is whole")
    data = segment.path.read_bytes()
    found = list(segments.scan(data, segments.chain_seed(segment.series, segment.number)))
    lines = [item for item in found if isinstance(item, Line)]
    broken = b"".join(data[item.offset : item.end] for item in found if isinstance(item, Damage))
    folder = segment.path.parent
    _keep_broken(folder / f"{segment.number:012d}.broken", broken)
    if lines:
        _seal(folder, segment.number, lines)
    else:
        _seal_placeholder(folder, segments.sealed_in(folder), segment.number)
    segment.path.unlink(missing_ok=True)
    durable.fsync_path(folder)
    return Mended(segment.series, segment.number, len(lines), len(broken), was_missing=False)


def _is_whole(segment: Sealed) -> bool:
    try:
        return segments.verify(segment) >= 0
    except SegmentCorrupt:
        # Lines lost to an earlier mending: the file itself is what its name says.
        return segments.matches_name(segment) and not _has_damage(segment)


def _has_damage(segment: Sealed) -> bool:
    seed = segments.chain_seed(segment.series, segment.number)
    scanned = segments.scan(segment.path.read_bytes(), seed)
    return any(isinstance(item, Damage) for item in scanned)


def _keep_broken(path: Path, broken: bytes) -> None:
    known = path.read_bytes() if path.exists() else b""
    if broken and not known.endswith(broken):
        durable.write_file(path, known + broken)


def _replace_missing(folder: Path, listed: Sequence[Sealed], number: int) -> Mended:
    if not any(item.number > number for item in listed):
        raise MendRefused(f"series {folder.name} has no segment {number}, and none after it")
    _seal_placeholder(folder, listed, number)
    return Mended(folder.name, number, 0, 0, was_missing=True)


def _seal_placeholder(folder: Path, listed: Sequence[Sealed], number: int) -> None:
    """One line, with an ordinal and a receipt that lie between its neighbours'."""
    after = next((item for item in listed if item.number > number), None)
    first = _first_line(after) if after else None
    if first is None:
        raise MendRefused(f"the segment after {folder.name}/{number} must be mended first")
    received_at = json.loads(first.payload).get("received_at")
    record = {"kind": ERASED_KIND, "received_at": received_at}
    payload = json.dumps(record, separators=(",", ":")).encode()
    seq = max(1, first.seq - 1)
    _seal(folder, number, [Line(0, seq, seq, 0, _framed(payload, seq))])


def _framed(payload: bytes, seq: int) -> bytes:
    return segments.encode_line(payload, 0, seq, seq)[0].rstrip(b"\n")


def _first_line(segment: Sealed) -> Line | None:
    seed = segments.chain_seed(segment.series, segment.number)
    found = next(segments.scan(segment.path.read_bytes(), seed), None)
    return found if isinstance(found, Line) else None


def _seal(folder: Path, number: int, lines: Sequence[Line]) -> None:
    chain, parts = segments.chain_seed(folder.name, number), []
    for line in lines:
        part, chain = segments.encode_line(line.payload, chain, line.batch, line.seq)
        parts.append(part)
    content = b"".join(parts)
    name = segments.sealed_name(number, len(lines), zlib.crc32(content))
    durable.write_file(folder / name, content)
