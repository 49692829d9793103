"""The verification of the lake: each file against its commit, and the counts of each commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow.parquet as pq

from etl.lake import delta_log
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot
from etl.lake.store import LakeStore
from etl.lake.table_store import TableStore
from etl.lake.tables import TABLES
from etl.upkeep.check.findings import Findings, Problem, TableFacts

UNREADABLE = "table-unreadable"


def load(lake: LakeStore, findings: Findings) -> Iterator[Snapshot]:
    """Yield the newest snapshot of each table that can be read."""
    for table in TABLES:
        try:
            yield lake.load(table)
        except LakeError as error:
            findings.problems.append(Problem(UNREADABLE, str(error)))


def verify(store: TableStore, snapshot: Snapshot, findings: Findings) -> bool:
    """Verify the files and commits of a table; return whether it has no problem."""
    folder = store.folder
    books = list(delta_log.books(folder))
    problems = [*_file_problems(store, snapshot), *_book_problems(snapshot, books)]
    findings.problems += problems
    rows = sum(file.rows for file in snapshot.listed())
    facts = TableFacts(snapshot.version, len(snapshot.files), rows, len(books))
    findings.tables[snapshot.table.name] = facts
    return not problems


def _file_problems(store: TableStore, snapshot: Snapshot) -> Iterator[Problem]:
    for file in snapshot.listed():
        path = store.folder / file.path
        where = f"{snapshot.table.name}/{file.path}"
        try:
            store.fetch([file.path])
            rows = pq.read_metadata(path).num_rows
            if path.stat().st_size != file.size_bytes:
                detail = f"{where}: its size is not the {file.size_bytes} bytes committed"
                yield Problem("lake-file-size", detail)
            if rows != file.rows:
                yield Problem("lake-file-rows", f"{where}: {rows} rows, {file.rows} committed")
        except (OSError, ValueError) as error:
            yield Problem("lake-file-unreadable", f"{where}: {error}")


def _book_problems(
    snapshot: Snapshot, books: Sequence[tuple[int, Mapping[str, int]]]
) -> Iterator[Problem]:
    for version, book in books:
        lines, rows, duplicates = (book.get(key, 0) for key in ("lines", "rows", "duplicates"))
        if lines != rows + duplicates:
            detail = (
                f"{snapshot.table.name} version {version}: {lines} lines, "
                f"{rows} rows, {duplicates} duplicates"
            )
            yield Problem("books-unbalanced", detail)
