"""The names of segments and series, and the lists of those in a log folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from etl.log.format import SERIES_FILE

_SEALED = re.compile(r"(\d{12})-n([0-9]+)-c([0-9a-f]{8})\.ndjson")
_OPEN = re.compile(r"(\d{12})\.open")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed segment, as its name describes it."""

    series: str
    number: int
    lines: int
    crc: int
    path: Path

    @classmethod
    def in_folder(cls, folder: Path, number: int, lines: int, crc: int) -> Sealed:
        """Return the sealed segment with this line count and CRC in its series' folder."""
        return cls(folder.name, number, lines, crc, folder / sealed_name(number, lines, crc))


@dataclass(frozen=True, slots=True)
class Position:
    """Where a series continues: the numbers of its next segment and its next line."""

    number: int = 1
    seq: int = 1


def sealed_name(number: int, lines: int, crc: int) -> str:
    """Return the name of a sealed segment."""
    return f"{number:012d}-n{lines}-c{crc:08x}.ndjson"


def open_name(number: int) -> str:
    """Return the name of a segment that is being written."""
    return f"{number:012d}.open"


def sealed_in(folder: Path) -> list[Sealed]:
    """Return the sealed segments of one series, in order; none for a folder that is gone.

    Listing a folder is no snapshot: of two segments that are sealed meanwhile, it may show only
    the later one. So a listing with a gap is repeated once, and the second one counts.
    """
    listed = _list_sealed(folder)
    return _list_sealed(folder) if _has_gap(listed) else listed


def names_in(folder: Path) -> list[str]:
    """Return the names in a series' folder; none for a folder that is gone."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _has_gap(listed: Sequence[Sealed]) -> bool:
    return any(after.number != before.number + 1 for before, after in pairwise(listed))


def sealed_at(path: Path) -> Sealed | None:
    """Return the sealed segment that a path names; None for any other name."""
    match = _SEALED.fullmatch(path.name)
    if match is None:
        return None
    return Sealed(path.parent.name, int(match[1]), int(match[2]), int(match[3], 16), path)


def by_number(named: Iterable[Sealed | None]) -> list[Sealed]:
    """Return the sealed segments in the order of their numbers."""
    return sorted((item for item in named if item), key=lambda segment: segment.number)


def _list_sealed(folder: Path) -> list[Sealed]:
    return by_number(sealed_at(folder / name) for name in names_in(folder))


def open_in(folder: Path) -> list[tuple[int, Path]]:
    """Return the `.open` files of one series as (number, path), in order.

    A symbolic link is left out, because recovery truncates and renames these files.
    """
    matches = ((_OPEN.fullmatch(name), folder / name) for name in names_in(folder))
    return sorted(
        (int(match[1]), path) for match, path in matches if match and not path.is_symlink()
    )


def series_folders(log: Path) -> list[Path]:
    """Return the folder of every series of the log, by name."""
    if not log.is_dir():
        return []
    return sorted(
        entry
        for entry in log.iterdir()
        if not entry.is_symlink() and (entry / SERIES_FILE).is_file()
    )


def sealed_everywhere(log: Path) -> dict[str, list[Sealed]]:
    """Return every sealed segment of the log, by series."""
    return {folder.name: sealed_in(folder) for folder in series_folders(log)}
