"""The closed timestamp of a series: its writer's promise, published beside the segments.

The lake takes a line only after every line received earlier; otherwise "first by receipt" would
depend on when a compaction ran. So a pass takes the lines of all series that were received before
one common *safe time* T, before which every line is in a sealed segment:

- each writer publishes a promise: a time before which every line of its series is sealed, and
  before which it will never stamp a line again. It is the receipt of the oldest unsealed line; now
  if there is none. The writer publishes it before its series becomes visible, about twice a second,
  and after each seal (the segment is renamed first, because the promise relies on it);
- the compactor, under the log's lock, reads the promises of all series whose flock is held, and
  then lists the sealed segments. T is the smallest promise. A series whose flock is free has no
  writer and never will have one (a start makes a new series), so it sets no bound;
- receipts never go back within a series, so the lines before T are a prefix of each series;
- a new series begins no earlier than any existing promise and receipt, see `claiming.claim`.

While a writer hangs, its promise does not move, and neither does T, until its process is replaced.
The idea and the name come from CockroachDB's closed timestamps.

The file is one line of 64 bytes with its own CRC, written in place: a reader that sees half of a
write reads again. It is not synced: after a power cut the series is dead, and its promise is not
needed.
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
    """Promise that every line of the series received before `closed_us` is sealed.

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
    """Return the promise of a series; None if it is missing or unreadable."""
    for _ in range(_ATTEMPTS_MAX):
        try:
            data = (folder / NAME).read_bytes()
        except FileNotFoundError:
            return None
        match = _LINE.fullmatch(data)
        if match and zlib.crc32(match[1]) == int(match[3], 16):
            return int(match[2])
    return None
