"""The rows of a CSV file with a header, by the names of its columns.

Columns may be in any order, and other columns are ignored. The file is UTF-8, with or without a
BOM. It is read one line at a time, so that an error names its line.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

Row: TypeAlias = dict[str, str]


class DirectoryFileError(Exception):
    """A file cannot be imported. `line` counts from 1; None if the error has no line."""

    def __init__(self, path: Path, line: int | None, why: str) -> None:
        self.path = path
        self.line = line
        self.why = why
        super().__init__(f"{path.name}{'' if line is None else f', line {line}'}: {why}")


def read(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Yield the number of each row's last line, from 1, and the row's cells by column.

    A row has no key for an optional column that the file lacks. Raises DirectoryFileError.
    """
    with _opened(path) as file:
        reader = csv.reader(_lines(path, file), strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise DirectoryFileError(path, None, "the file is empty")
            places = _places(path, header, columns, optional)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    why = f"has {len(cells)} cells where the header has {len(header)}"
                    raise DirectoryFileError(path, reader.line_num, why)
                yield reader.line_num, {name: cells[at] for name, at in places.items()}
        except csv.Error as error:
            raise DirectoryFileError(path, reader.line_num, f"not CSV: {error}") from None


def _places(
    path: Path, header: list[str], columns: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    present = [name for name in optional if name in header]
    for name in (*columns, *present):
        if header.count(name) != 1:
            why = f"the column {name} is {'there twice' if name in header else 'missing'}"
            raise DirectoryFileError(path, 1, why)
    return {name: header.index(name) for name in (*columns, *present)}


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file; close it at once on an error, because the traceback refers to its reader."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        yield file


def _lines(path: Path, file: BinaryIO) -> Iterator[str]:
    """Yield the decoded lines, one at a time, so that an error names its line."""
    try:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
            if b"\0" in line:
                raise DirectoryFileError(path, number, "holds a NUL character")
            yield line.decode("utf-8")
    except UnicodeDecodeError:
        raise DirectoryFileError(path, number, "is not UTF-8") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DirectoryFileError:
    return DirectoryFileError(path, None, f"cannot be read: {error.strerror}")
