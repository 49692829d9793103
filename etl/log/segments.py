"""The log format: segments of newline-delimited JSON, one folder per series. Version 2.

A *series* is the output of one writer, from its start to its end; no later one continues it. Its
folder holds

    series.json                                  {"format": 2, "series": "<name>"}
    lock                                         flocked by the process that writes the series
    closed                                       its promise, see `etl.log.closed`
    000000000042.open                            the segment being written
    000000000041-n12345-c74e1f792.ndjson         a sealed segment: line count and CRC-32 of the file
    000000000042.broken                          bytes that recovery took out of a segment
    recovered.ndjson                             what it decided, see `etl.log.recovery_record`

Numbers start at 1 and have no gaps; a sealed segment never changes; readers never read an
`.open` one. While a series is written its newest sealed segment is kept. Once its writer is gone
and the lake holds all of it, its folder is deleted.

Version 1 has the same lines and names; its series were continued by later writers of their slot,
and had no `closed`. This version reads both, and writes on in neither.

Line
    {"_c":"74e1f792","_b":812,"_n":90121,"kind":"event",...}\\n

`_c`  CRC-32 (zlib's), eight lower-case hex digits, over the bytes that follow its value on the
      line, from the comma up to but excluding the newline, started from the `_c` of the line
      before; the first line's starts from CRC-32("<series>/<number>") with the number in decimal.
`_n`  ordinal in the series of the line, from 1.
`_b`  the group commit that wrote the line, numbered by the `_n` of its first line. A batch is
      written only after the one before it was durable, so a valid line of a later batch proves
      that every line before that batch's first was acked.

The chain makes a line that is moved, repeated or left out as visible as one that is altered.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FORMAT_VERSION = 2
FORMATS_READ = (1, 2)
SERIES_FILE = "series.json"
LOCK_FILE = "lock"
LINE_START = b'{"_c":"'

ERASED_KIND = "erased"
"""The kind of a line that stands for lost or erased ones: no table keeps it."""

_SEALED = re.compile(r"(\d{12})-n([0-9]+)-c([0-9a-f]{8})\.ndjson")
_OPEN = re.compile(r"(\d{12})\.open")
_HEAD = re.compile(rb'\{"_c":"([0-9a-f]{8})"(?=,)')
_CRC_DIGITS = re.compile(rb"[0-9a-f]{8}")
_CHUNK_BYTES = 1 << 20
_ORDINALS = re.compile(rb',"_b":(\d+),"_n":(\d+),')
_HEAD_BYTES = len('{"_c":"00000000"')
_CHAINS_MAX = 64


class SegmentCorrupt(Exception):
    """A sealed segment is not what its name or its lines say. Carries where."""

    def __init__(self, series: str, number: int, offset: int, reason: str) -> None:
        super().__init__(f"segment {series}/{number} at byte {offset}: {reason}")
        self.series, self.number, self.offset, self.reason = series, number, offset, reason


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed segment, as its name tells it."""

    series: str
    number: int
    lines: int
    crc: int
    path: Path


@dataclass(frozen=True, slots=True)
class Position:
    """Where a series goes on: the next segment's and line's number."""

    number: int = 1
    seq: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One verified line: where it lies, its ordinals, and its bytes without the newline."""

    offset: int
    batch: int
    seq: int
    crc: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """The record as it was submitted, without `_c`, `_b` and `_n`."""
        match = _ORDINALS.match(self.data, _HEAD_BYTES)
        start = match.end() if match else _HEAD_BYTES
        return b"{" + self.data[start:]


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes [offset, end) that belong to no valid line."""

    offset: int
    end: int


# -- names ------------------------------------------------------------------------------------


def sealed_name(number: int, lines: int, crc: int) -> str:
    return f"{number:012d}-n{lines}-c{crc:08x}.ndjson"


def open_name(number: int) -> str:
    return f"{number:012d}.open"


def sealed_in(folder: Path) -> list[Sealed]:
    """The sealed segments of one series, in order. A folder that vanished holds none.

    Reading a folder is no snapshot: of what is sealed meanwhile the later may be seen and the
    earlier not. A gap is therefore believed only when a second look finds it too.
    """
    found = _sealed_now(folder)
    return _sealed_now(folder) if _has_gap(found) else found


def names_in(folder: Path) -> list[str]:
    """What a series' folder holds; nothing where it vanished: cleaning up deletes whole folders."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _has_gap(found: Sequence[Sealed]) -> bool:
    return any(after.number != before.number + 1 for before, after in pairwise(found))


def _sealed_now(folder: Path) -> list[Sealed]:
    found = []
    for name in names_in(folder):
        match = _SEALED.fullmatch(name)
        if match:
            number, lines, crc = int(match[1]), int(match[2]), int(match[3], 16)
            found.append(Sealed(folder.name, number, lines, crc, folder / name))
    return sorted(found, key=lambda segment: segment.number)


def open_in(folder: Path) -> list[tuple[int, Path]]:
    """The `.open` files of one series: (number, path), in order; none where it vanished.

    A symbolic link is none: recovery truncates and renames what it finds.
    """
    matches = ((_OPEN.fullmatch(name), folder / name) for name in names_in(folder))
    return sorted(
        (int(match[1]), path) for match, path in matches if match and not path.is_symlink()
    )


def series_folders(log: Path) -> list[Path]:
    """The folders of every series of the log, by name."""
    if not log.is_dir():
        return []
    return sorted(
        entry
        for entry in log.iterdir()
        if not entry.is_symlink() and (entry / SERIES_FILE).is_file()
    )


def sealed_everywhere(log: Path) -> dict[str, list[Sealed]]:
    """Every sealed segment of the log, by series."""
    return {folder.name: sealed_in(folder) for folder in series_folders(log)}


# -- lines ------------------------------------------------------------------------------------


def chain_seed(series: str, number: int) -> int:
    """The value that a segment's first line is chained from."""
    return zlib.crc32(f"{series}/{number}".encode())


def encode_line(payload: bytes, chain: int, batch: int, seq: int) -> tuple[bytes, int]:
    """One line, newline included, and its CRC. `payload` is a non-empty JSON object's bytes."""
    rest = b',"_b":%d,"_n":%d,%b' % (batch, seq, payload[1:])
    crc = zlib.crc32(rest, chain)
    return b'{"_c":"%08x"%b\n' % (crc, rest), crc


def scan(data: bytes, seed: int) -> Iterator[Line | Damage]:
    """Tell valid lines from damage, in file order.

    After damage the chain is picked up from whichever value the damaged bytes still give: the
    `_c` they carry, or the CRC of what they hold. So one flipped bit costs at most one line. Of
    such values a bounded number is kept, so that a file full of noise is read in linear time.
    """
    chains = [seed]
    offset = 0
    while offset < len(data):
        newline = data.find(b"\n", offset)
        end = newline + 1 if newline >= 0 else len(data)
        line = _valid_line(data[offset:newline], offset, chains) if newline >= 0 else None
        if line is not None:
            yield line
            chains = [line.crc]
            offset = end
            continue
        end = _damage_end(data, offset, end)
        yield Damage(offset, end)
        found = _chains_of_damage(data[offset:end].rstrip(b"\n"), chains)
        chains = [*chains[:1], *(chains[1:] + found)[1 - _CHAINS_MAX :]]
        offset = end


def _valid_line(data: bytes, offset: int, chains: Sequence[int]) -> Line | None:
    head = _HEAD.match(data)
    if not head:
        return None
    stored = int(head[1], 16)
    rest = memoryview(data)[_HEAD_BYTES:]
    if not any(zlib.crc32(rest, chain) == stored for chain in chains):
        return None
    ordinals = _ORDINALS.match(data, _HEAD_BYTES)
    if not ordinals:
        return None
    return Line(offset, int(ordinals[1]), int(ordinals[2]), stored, data)


def _damage_end(data: bytes, offset: int, end: int) -> int:
    """A lost newline joins two lines: damage ends where the next line's head stands."""
    joined = data.find(LINE_START, offset + 1, end)
    while joined >= 0 and not _HEAD.match(data, joined):
        joined = data.find(LINE_START, joined + 1, end)
    return joined if joined >= 0 else end


def _chains_of_damage(damaged: bytes, chains: Sequence[int]) -> list[int]:
    head = _CRC_DIGITS.match(damaged, len(LINE_START))
    stored = [int(head[0], 16)] if head else []
    body = memoryview(damaged)[_HEAD_BYTES:]
    # A lost newline leaves one stray byte at the end of an otherwise whole line.
    latest = chains[-_CHAINS_MAX // 4 :]
    computed = [zlib.crc32(part, chain) for chain in latest for part in (body, body[:-1])]
    return computed + stored


# -- verifying --------------------------------------------------------------------------------


def matches_name(segment: Sealed) -> bool:
    """Whether the file's line count and CRC are those of its name. Raises FileNotFoundError."""
    crc = lines = 0
    for chunk in _chunks(segment.path):
        crc = zlib.crc32(chunk, crc)
        lines += chunk.count(b"\n")
    return (crc, lines) == (segment.crc, segment.lines)


def has_its_crc(segment: Sealed) -> bool:
    """As matches_name, for whoever counts the lines it reads. Raises FileNotFoundError."""
    crc = 0
    for chunk in _chunks(segment.path):
        crc = zlib.crc32(chunk, crc)
    return crc == segment.crc


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def verify(segment: Sealed) -> int:
    """Verify every line, the chain, the ordinals, the count and the file's CRC.

    Returns the number of bytes. Raises SegmentCorrupt, FileNotFoundError.
    """
    data = segment.path.read_bytes()
    lines = 0
    previous: Line | None = None
    for found in scan(data, chain_seed(segment.series, segment.number)):
        if isinstance(found, Damage):
            raise _corrupt(segment, found.offset, "line fails its chained CRC")
        if previous and (found.seq <= previous.seq or found.batch < previous.batch):
            raise _corrupt(segment, found.offset, "line or batch out of sequence")
        if previous and found.seq != previous.seq + 1:
            missing = f"lines {previous.seq + 1} to {found.seq - 1} were lost to damage"
            raise _corrupt(segment, found.offset, missing)
        previous = found
        lines += 1
    if lines != segment.lines:
        raise _corrupt(segment, len(data), f"{lines} lines, the name says {segment.lines}")
    if zlib.crc32(data) != segment.crc:
        raise _corrupt(segment, 0, f"file CRC {zlib.crc32(data):08x} is not its name's")
    return len(data)


def _corrupt(segment: Sealed, offset: int, reason: str) -> SegmentCorrupt:
    return SegmentCorrupt(segment.series, segment.number, offset, reason)


def position_after(segment: Sealed) -> Position | None:
    """Where the series goes on after its newest sealed segment; None if that is damaged."""
    data = segment.path.read_bytes()
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    ordinals = _ORDINALS.match(last, _HEAD_BYTES)
    if zlib.crc32(data) != segment.crc or not ordinals:
        return None
    return Position(segment.number + 1, int(ordinals[2]) + 1)
