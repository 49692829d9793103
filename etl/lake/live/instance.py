"""One DuckDB instance for all connections of a live view.

A connection is a cursor of the instance. Cursors share the threads, the memory, the macros and the
footers of the Parquet files that any of them has read. Each has its own temporary tables and views,
and interrupting it interrupts its own query only.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files as package_files
from pathlib import Path
from threading import Lock

import duckdb

from etl.lake import duck
from etl.lake.snapshot import Snapshot
from etl.lake.tables import DUPLICATES, EVENTS

_READ_BY_MACROS = (EVENTS, DUPLICATES)


class Instance:
    """An instance that the first cursor opens. Threads may share it."""

    def __init__(self, connect: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._connect = connect
        self._root: duckdb.DuckDBPyConnection | None = None
        self._folder: Path | None = None
        self._lock = Lock()

    def lock_down(self, folder: Path) -> None:
        """Let all connections read files in `folder` only; this cannot be undone."""
        with self._lock:
            if self._folder is None and self._root is not None and _is_usable(self._root):
                duck.lock_down(self._root, folder)
            self._folder = folder

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a new connection; the caller closes it."""
        with self._lock:
            if self._root is None or not _is_usable(self._root):
                self._root = self._open()
            return self._root.cursor()

    def _open(self) -> duckdb.DuckDBPyConnection:
        root = self._connect()
        _define_macros(root)
        if self._folder is not None:
            duck.lock_down(root, self._folder)
        return root


def _define_macros(root: duckdb.DuckDBPyConnection) -> None:
    """Define the macros of the reports.

    DuckDB looks up the relations that they read, so empty views stand in for them here. A call of a
    macro looks them up again, among the views of its connection.
    """
    for table in _READ_BY_MACROS:
        root.execute(f"CREATE VIEW {table.name} AS FROM {Snapshot.empty(table).relation()}")
    root.execute(package_files("etl.lake.live").joinpath("macros.sql").read_text())
    for table in _READ_BY_MACROS:
        root.execute(f"DROP VIEW {table.name}")


def _is_usable(con: duckdb.DuckDBPyConnection) -> bool:
    """Return False after an internal error of DuckDB, which makes it refuse every later query."""
    try:
        con.execute("SELECT 1")
    except duckdb.FatalException:
        return False
    return True
