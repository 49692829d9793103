"""The span of a sealed segment (its first and last line), and the search for a line in it.

A segment's lines are in the order of their ordinals and receipts. So the first and the last line
give its span, and a bisection over the file finds any other line with a few reads, whatever the
size of the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from etl.log.segments import Sealed

_ORDINAL = re.compile(rb'\{"_c":"[0-9a-f]{8}","_b":\d+,"_n":(\d+),')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Mark:
    """A line: its offset in the file, its ordinal, and its receipt in microseconds since the epoch.

    The receipt is 0 if it cannot be read; reading the whole segment reports that.
    """

    offset: int
    seq: int
    received_us: int


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last line of a segment, and its size."""

    first: Mark
    last: Mark
    size_bytes: int


class NoSpan(Exception):
    """A segment holds bytes that are no line of the log, so its span is unknown."""


def span_of(segment: Sealed) -> Span:
    """Return the span of a segment. Raises NoSpan, FileNotFoundError."""
    with segment.path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        return Span(_mark_at(file, 0), _mark_at(file, _last_line_offset(file, size)), size)


def line_above(segment: Sealed, seq: int) -> Mark | None:
    """Return the first line with an ordinal above `seq`; None for no such line. Raises NoSpan."""
    return _first(segment, lambda mark: mark.seq > seq)


def line_received_from(segment: Sealed, received_us: int) -> Mark | None:
    """Return the first line received at or after `received_us`; None for no such line.

    Raises NoSpan.
    """
    return _first(segment, lambda mark: mark.received_us >= received_us)


def _first(segment: Sealed, is_reached: Callable[[Mark], bool]) -> Mark | None:
    """Return the first line that satisfies a condition which then holds for all later lines."""
    with segment.path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        low, high = 0, size  # low is where a line starts
        while low < high:
            middle = (low + high) // 2
            offset = _line_offset_from(file, middle)
            if offset >= high:
                high = middle
                continue
            mark = _mark_at(file, offset)
            if is_reached(mark):
                high = middle
            else:
                low = file.tell()
        return _mark_at(file, low) if low < size else None


def _line_offset_from(file: BinaryIO, offset: int) -> int:
    """Return the offset of the first line that starts at or after `offset`."""
    file.seek(max(0, offset - 1))
    if offset:
        file.readline()
    return file.tell()


def _last_line_offset(file: BinaryIO, size: int) -> int:
    read = _TAIL_BYTES
    while True:
        start = max(0, size - read)
        file.seek(start)
        newline = file.read(size - start).rstrip(b"\n").rfind(b"\n")
        if newline >= 0 or not start:
            return start + newline + 1
        read *= 4


def _mark_at(file: BinaryIO, offset: int) -> Mark:
    file.seek(offset)
    line = file.readline()
    match = _ORDINAL.match(line)
    if not match:
        raise NoSpan(f"no line of the log at byte {offset}")
    return Mark(offset, int(match[1]), _received_us(line))


def _received_us(line: bytes) -> int:
    try:
        received_at = datetime.fromisoformat(json.loads(line)["received_at"])
        return (received_at - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, TypeError, KeyError):
        return 0
