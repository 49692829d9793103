"""The log format: segments of newline-delimited JSON, one folder per series. Version 2.

A *series* is the output of one writer, from its start to its end; no other writer continues it. The
folder of a series holds

    series.json                                  {"format": 2, "series": "<name>"}
    lock                                         flocked by the process that writes the series
    closed                                       the writer's promise, see `etl.log.closed`
    shipped                                      the copy in object storage: `etl.log.shipped`
    000000000042.open                            the segment being written
    000000000041-n12345-c74e1f792.ndjson         a sealed segment: line count and CRC-32 of the file
    000000000042.broken                          bytes that recovery took out of a segment
    recovered.ndjson                             decisions of recovery: `etl.log.recovery_record`

Segment numbers start at 1 and have no gaps. A sealed segment never changes; readers never read an
`.open` file. While a series is written, its newest sealed segment is kept. The folder is deleted
after the writer has ended and the lake holds all lines.

Version 1 has the same lines and names, but a series was continued by later writers of its slot and
had no `closed`. This version reads both and continues neither.

Line
    {"_c":"74e1f792","_b":812,"_n":90121,"kind":"event",...}\\n

`_c`  CRC-32 (zlib's), eight lower-case hex digits, over the bytes that follow its value on the
      line, from the comma up to but excluding the newline, started from the `_c` of the line
      before; the first line's starts from CRC-32("<series>/<number>") with the number in decimal.
`_n`  the line's ordinal in its series, from 1.
`_b`  the group commit that wrote the line, numbered by the `_n` of its first line. A batch is
      written only after the one before it was durable, so a valid line of a later batch proves
      that every line before that batch's first was acked.

The chain reveals a line that was moved, repeated or left out, as well as one that was altered.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FORMAT_VERSION = 2
FORMATS_READ = (1, 2)
SERIES_FILE = "series.json"
LOCK_FILE = "lock"
LINE_START = b'{"_c":"'

ERASED_KIND = "erased"
"""The kind of a line that replaces lost or erased lines; no table holds such lines."""

_HEAD = re.compile(rb'\{"_c":"([0-9a-f]{8})"(?=,)')
_CRC_DIGITS = re.compile(rb"[0-9a-f]{8}")
_ORDINALS = re.compile(rb',"_b":(\d+),"_n":(\d+),')
_HEAD_BYTES = len('{"_c":"00000000"')
_CHAINS_MAX = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One verified line: its offset, its ordinals, its CRC, and its bytes without the newline."""

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


def chain_seed(series: str, number: int) -> int:
    """Return the value that a segment's first line is chained from."""
    return zlib.crc32(f"{series}/{number}".encode())


def encode_line(payload: bytes, chain: int, batch: int, seq: int) -> tuple[bytes, int]:
    """Return one line, with its newline, and its CRC. `payload`: a non-empty JSON object."""
    rest = b',"_b":%d,"_n":%d,%b' % (batch, seq, payload[1:])
    crc = zlib.crc32(rest, chain)
    return b'{"_c":"%08x"%b\n' % (crc, rest), crc


def scan(data: bytes, seed: int) -> Iterator[Line | Damage]:
    """Yield the valid lines and the damage of a segment's bytes, in file order.

    After damage, a line is valid if its chain starts from any value that the damaged bytes yield:
    the `_c` that they carry, or the CRC of their content. So one flipped bit costs at most one
    line. The number of such values is bounded, so that a file full of noise is read in linear time.
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
        more = _chains_of_damage(data[offset:end].rstrip(b"\n"), chains)
        chains = [*chains[:1], *(chains[1:] + more)[1 - _CHAINS_MAX :]]
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
    """Return where damage ends: at the next line's head, because a lost newline joins two lines."""
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


def last_ordinal(data: bytes) -> int | None:
    """Return the `_n` of a segment's last line, unverified; None if it is not a line of the log."""
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    ordinals = _ORDINALS.match(last, _HEAD_BYTES)
    return int(ordinals[2]) if ordinals else None
