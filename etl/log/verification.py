"""Verifying sealed segments: quickly by the file's CRC, or line by line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from etl.log import format as log_format
from etl.log.format import Damage, Line
from etl.log.segments import Position, Sealed

_CHUNK_BYTES = 1 << 20


class SegmentCorrupt(Exception):
    """A sealed segment does not match its name or its chain; carries the place and the reason."""

    def __init__(self, segment: Sealed, offset: int, reason: str) -> None:
        super().__init__(f"segment {segment.series}/{segment.number} at byte {offset}: {reason}")
        self.series, self.number = segment.series, segment.number
        self.offset, self.reason = offset, reason


def matches_crc(segment: Sealed) -> bool:
    """Return whether the file's CRC is the one in its name. Raises FileNotFoundError."""
    crc = 0
    with segment.path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc == segment.crc


def scan(segment: Sealed) -> Iterator[Line | Damage]:
    """Yield the valid lines and the damage of a segment. Raises FileNotFoundError."""
    seed = log_format.chain_seed(segment.series, segment.number)
    return log_format.scan(segment.path.read_bytes(), seed)


def verify(segment: Sealed) -> int:
    """Verify every line, the chain, the ordinals, the count and the file's CRC.

    Returns the number of bytes. Raises SegmentCorrupt, FileNotFoundError.
    """
    data = segment.path.read_bytes()
    lines = 0
    previous: Line | None = None
    for item in log_format.scan(data, log_format.chain_seed(segment.series, segment.number)):
        if isinstance(item, Damage):
            raise SegmentCorrupt(segment, item.offset, "line fails its chained CRC")
        if previous and (item.seq <= previous.seq or item.batch < previous.batch):
            raise SegmentCorrupt(segment, item.offset, "line or batch out of sequence")
        if previous and item.seq != previous.seq + 1:
            missing = f"lines {previous.seq + 1} to {item.seq - 1} were lost to damage"
            raise SegmentCorrupt(segment, item.offset, missing)
        previous = item
        lines += 1
    if lines != segment.lines:
        raise SegmentCorrupt(segment, len(data), f"{lines} lines, the name says {segment.lines}")
    if zlib.crc32(data) != segment.crc:
        raise SegmentCorrupt(segment, 0, f"file CRC {zlib.crc32(data):08x} is not its name's")
    return len(data)


def position_after(segment: Sealed) -> Position | None:
    """Return the position after a segment; None if the segment is damaged."""
    data = segment.path.read_bytes()
    seq = log_format.last_ordinal(data)
    if seq is None or zlib.crc32(data) != segment.crc:
        return None
    return Position(segment.number + 1, seq + 1)
