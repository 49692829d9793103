"""One pass of a compaction: the rows of the selected lines, written and committed per table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import duckdb

from etl.lake import commits, duck, parquet, staging
from etl.lake.duplicates import Marked, mark_duplicates
from etl.lake.keys import upkeep
from etl.lake.selection import Selection
from etl.lake.snapshot import SIGNED, Snapshot, lines_of
from etl.lake.superseded import has_signed
from etl.lake.tables import EVENTS, REJECTED
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
        _write_table(con, snapshot, taken, counts)


def _write_table(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, taken: Selection, counts: PassCounts
) -> None:
    table = snapshot.table
    moved = _moved(snapshot, taken)
    if not moved:
        return
    if table is EVENTS and not snapshot.watermark(SIGNED) and has_signed(con):
        moved[SIGNED] = 1
    staged = duck.count(con, f"staged_{table.name}")
    marked = mark_duplicates(con, snapshot) if table is EVENTS else Marked(0, {})
    _, store = snapshot.opened()
    files = parquet.write(con, store.folder, table, store.file_key(_key(snapshot, taken)))
    rows = sum(file.rows for file in files)
    books = {"lines": staged, "rows": rows, "duplicates": marked.duplicates}
    commits.commit(snapshot, files, moved, books)
    if table is EVENTS:
        counts.rows += rows
        counts.duplicates += marked.duplicates
        for path, reason in islice(marked.unusable.items(), _REMADE_MAX):
            if upkeep.remake(con, path, snapshot.relation([path]), reason):
                store.put_keys(path)
    elif table is REJECTED:
        counts.rejected += rows


def _moved(snapshot: Snapshot, taken: Selection) -> dict[str, int]:
    """Return the table's watermarks that the pass moves, by app id."""
    moved: dict[str, int] = {}
    for series, watermarks in taken.reached.items():
        if watermarks.segment > snapshot.watermark(series):
            moved[series] = watermarks.segment
        if watermarks.seq > snapshot.lines(series):
            moved[lines_of(series)] = watermarks.seq
    return moved


def _key(snapshot: Snapshot, taken: Selection) -> str:
    """Return the key of the pass's files of a table; equal keys mean equal rows."""
    segments = [
        f"{item.series}/{item.path.name}:{taken.parts.get(item, '')}" for item in taken.segments
    ]
    text = ";".join([str(snapshot.version), *snapshot.table.columns, *segments])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
