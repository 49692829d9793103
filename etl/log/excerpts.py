"""Excerpts: the bytes of parts of sealed segments, as files of their own for a short time.

A pass of a compaction may take a few lines of a large segment, and the next pass the others. Each
parses its excerpt, not the whole segment.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etl.log.segments import Sealed

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of a segment with ordinals above `above` and at most `upto`, and their bytes."""

    above: int
    upto: int
    first_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A file with a part of a segment: its lines, and those of the whole segment."""

    path: Path
    lines: int
    segment_lines: int


@contextmanager
def cut(
    folder: Path, parts: Mapping[Sealed, Part], *, chunk_bytes: int = _CHUNK_BYTES
) -> Iterator[dict[Sealed, Excerpt]]:
    """Write the parts to files in `folder`, which nothing else uses, and delete it afterwards.

    Raises FileNotFoundError if a segment was deleted meanwhile; OSError.
    """
    shutil.rmtree(folder, ignore_errors=True)  # a run that was killed may have left it
    if not parts:
        yield {}
        return
    folder.mkdir()
    try:
        yield {
            segment: _copy(segment, part, folder / f"{number}.ndjson", chunk_bytes)
            for number, (segment, part) in enumerate(parts.items())
        }
    finally:
        shutil.rmtree(folder)


def _copy(segment: Sealed, part: Part, path: Path, chunk_bytes: int) -> Excerpt:
    lines = segment_lines = offset = 0
    with segment.path.open("rb", buffering=0) as file, path.open("wb") as copy:
        while chunk := file.read(chunk_bytes):
            taken = chunk[max(0, part.first_byte - offset) : max(0, part.end_byte - offset)]
            copy.write(taken)
            lines += taken.count(b"\n")
            segment_lines += chunk.count(b"\n")
            offset += len(chunk)
    return Excerpt(path, lines, segment_lines)
