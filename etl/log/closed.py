"""The closed timestamp of a series: its writer's promise, published beside the segments.

The lake takes nothing before everything received earlier, or "first by receipt" would depend on
when a compaction ran. So a pass takes, of every series, the lines received before one common *safe
time* T, at which no line outside the sealed segments can have been received earlier:

- each writer publishes a time before which nothing of its series is unsealed, and below which it
  will never stamp again: the receipt of its oldest line that is not in a sealed segment, else now.
  It does so before its series can be seen, about twice a second, and after each seal: first the
  segment's rename, then the promise that rests on it;
- under the log's lock the compactor reads the promises of all series whose flock is held, and
  lists the sealed segments after that. T is the smallest promise. A series whose flock is free has
  no writer and never will have one (a start makes a new series), so it sets no bound;
- receipts never go back within a series, so what lies before T is a prefix of each;
- a new series begins no earlier than any promise and any receipt there is, see `claiming.claim`.

A writer that hangs keeps its promise, and T stands still until its process is replaced. The idea
and the name are those of CockroachDB's closed timestamps.

The file is one line of 64 bytes with its own CRC, written in place: a reader that sees half of a
write reads again. It is not synced, because after a power cut nobody writes the series.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

NAME = "closed"
_SIZE = 64
_LINE = re.compile(rb'(\{"closed_us":(\d+),"crc":")([0-9a-f]{8})"\} *\n')
_ATTEMPTS_MAX = 10


def publish(folder: Path, closed_us: int) -> None:
    """Promise that nothing of the series received before `closed_us` is unsealed.

    `closed_us`: microseconds since the epoch, never less than before. Raises OSError.
    """
    body = b'{"closed_us":%d,"crc":"' % closed_us
    line = b'%b%08x"}' % (body, zlib.crc32(body))
    fd = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(fd, line.ljust(_SIZE - 1) + b"\n", 0)
    finally:
        os.close(fd)


def read(folder: Path) -> int | None:
    """The promise of a series; None where there is none that can be read."""
    for _ in range(_ATTEMPTS_MAX):
        try:
            data = (folder / NAME).read_bytes()
        except FileNotFoundError:
            return None
        match = _LINE.fullmatch(data)
        if match and zlib.crc32(match[1]) == int(match[3], 16):
            return int(match[2])
    return None
