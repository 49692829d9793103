"""Writing lines of a segment again: in a fresh chain, with their own ordinals.

Recovery, mending and erasure share these steps; none of them ever changes a file in place.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from etl import durable
from etl.log.format import ERASED_KIND, Line, chain_seed, encode_line
from etl.log.segments import Sealed


class Entry(NamedTuple):
    """A line to write: its record and its ordinals."""

    payload: bytes
    batch: int
    seq: int


def entries(lines: Iterable[Line]) -> list[Entry]:
    """Return the entries of lines that were read."""
    return [Entry(line.payload, line.batch, line.seq) for line in lines]


def erased(received_at: object) -> bytes:
    """Return the record that replaces a lost or erased line; it keeps only the time of receipt."""
    record = {"kind": ERASED_KIND, "received_at": received_at}
    return json.dumps(record, separators=(",", ":")).encode()


def encode(series: str, number: int, to_write: Iterable[Entry]) -> bytes:
    """Return the content of a segment that holds these entries."""
    chain, parts = chain_seed(series, number), []
    for entry in to_write:
        part, chain = encode_line(entry.payload, chain, entry.batch, entry.seq)
        parts.append(part)
    return b"".join(parts)


def write_sealed(folder: Path, number: int, to_write: Sequence[Entry]) -> Sealed:
    """Write a sealed segment of these entries, durably. Raises OSError."""
    content = encode(folder.name, number, to_write)
    sealed = Sealed.in_folder(folder, number, len(to_write), zlib.crc32(content))
    durable.write_file(sealed.path, content)
    return sealed


def save_broken(folder: Path, number: int, broken: bytes) -> None:
    """Append damaged bytes to the segment's `.broken` file, durably; a repeated call adds none."""
    path = folder / f"{number:012d}.broken"
    saved = path.read_bytes() if path.exists() else b""
    if broken and not saved.endswith(broken):
        durable.write_file(path, saved + broken)
