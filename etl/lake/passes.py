"""One pass of a compaction: the rows of the selected lines, written and committed per table.

`etl.lake.engines` has other processes write the rows; the commit is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import duckdb

from etl.lake import commits, duck, parquet, staging
from etl.lake.commits import DataFile
from etl.lake.duplicates import Marked, mark_duplicates
from etl.lake.keys import upkeep
from etl.lake.selection import Selection
from etl.lake.snapshot import SIGNED, Snapshot, lines_of
from etl.lake.superseded import has_signed
from etl.lake.tables import EVENTS, REJECTED, Table
from etl.layout import Layout
from etl.log import excerpts

_REMADE_MAX = 8
"""The largest number of key files that a pass makes again; maintenance makes the others."""


@dataclass(slots=True)
class PassCounts:
    """The number of lines that a pass read, and of the rows that it committed per kind."""

    lines: int = 0
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0

    def add(self, table: Table, written: Written) -> None:
        """Count the rows of a table that were committed."""
        if table is EVENTS:
            self.rows += written.rows
            self.duplicates += written.duplicates
        elif table is REJECTED:
            self.rejected += written.rows


PassWriter = Callable[
    [duckdb.DuckDBPyConnection, Layout, Sequence[Snapshot], Selection, PassCounts], None
]
"""The way in which a pass is written and committed: `write`, or that of an engine."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a table with the rows of a pass, durable but not committed, and their counts.

    `lines` counts the lines of the table's kind. `is_first_signed`: whether the table's first
    signed sale is among the rows. `unusable`: see `Marked`.
    """

    files: Sequence[DataFile]
    lines: int
    duplicates: int = 0
    is_first_signed: bool = False
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


def write(
    con: duckdb.DuckDBPyConnection,
    layout: Layout,
    snapshots: Sequence[Snapshot],
    taken: Selection,
    counts: PassCounts,
) -> None:
    """Write the selected lines to every table, and count each table as it is committed.

    Raises CommitFailedError, SegmentUnreadable, LakeError, duckdb.Error; OSError.
    """
    with excerpts.cut(layout.excerpts, taken.parts) as cut:
        staging.stage_lines(con, taken.segments, cut)
    counts.lines = duck.count(con, "lines")
    staging.stage_tables(con, snapshots)
    for snapshot in snapshots:
        if _moved(snapshot, taken):
            _, store = snapshot.opened()
            parquet.sweep(store.folder)
            key = store.file_key(key_of(snapshot, taken))
            written = write_rows(con, store.folder, snapshot, key)
            commit(con, snapshot, taken, written)
            counts.add(snapshot.table, written)


def write_rows(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    snapshot: Snapshot,
    key: str,
    scratch: Path | None = None,
) -> Written:
    """Write the staged rows of a table to files that `key` names, without the duplicates.

    `scratch`: see `parquet.write_file`. Raises LakeError, duckdb.Error; OSError.
    """
    table = snapshot.table
    is_first_signed = table is EVENTS and not snapshot.watermark(SIGNED) and has_signed(con)
    lines = duck.count(con, f"staged_{table.name}")
    marked = mark_duplicates(con, snapshot) if table is EVENTS else Marked(0, {})
    files = parquet.write(con, folder, table, key, scratch)
    return Written(files, lines, marked.duplicates, is_first_signed, marked.unusable)


def joined(parts: Sequence[Written]) -> Written:
    """Return the files of several parts of a table's rows as one."""
    return Written(
        [file for part in parts for file in part.files],
        sum(part.lines for part in parts),
        sum(part.duplicates for part in parts),
        any(part.is_first_signed for part in parts),
        {path: reason for part in parts for path, reason in part.unusable.items()},
    )


def commit(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, taken: Selection, written: Written
) -> None:
    """Commit a table's files with the watermarks that the pass moves; nothing if it moves none.

    Raises CommitFailedError, LakeError; OSError.
    """
    moved = _moved(snapshot, taken)
    if not moved:
        return
    if written.is_first_signed:
        moved[SIGNED] = 1
    books = {"lines": written.lines, "rows": written.rows, "duplicates": written.duplicates}
    commits.commit(snapshot, written.files, moved, books)
    _, store = snapshot.opened()
    for path, reason in islice(written.unusable.items(), _REMADE_MAX):
        if upkeep.remake(con, path, snapshot.relation([path]), reason):
            store.put_keys(path)


def _moved(snapshot: Snapshot, taken: Selection) -> dict[str, int]:
    """Return the table's watermarks that the pass moves, by app id."""
    moved: dict[str, int] = {}
    for series, watermarks in taken.reached.items():
        if watermarks.segment > snapshot.watermark(series):
            moved[series] = watermarks.segment
        if watermarks.seq > snapshot.lines(series):
            moved[lines_of(series)] = watermarks.seq
    return moved


def key_of(snapshot: Snapshot, taken: Selection) -> str:
    """Return the key of the pass's files of a table; equal keys mean equal rows."""
    segments = [
        f"{item.series}/{item.path.name}:{taken.parts.get(item, '')}" for item in taken.segments
    ]
    text = ";".join([str(snapshot.version), *snapshot.table.columns, *segments])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
