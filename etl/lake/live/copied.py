"""The rows of one tenant, copied from a live view, for several questions at a time.

A connection serves one question at a time. The copy is a table of the whole DuckDB instance, so
other connections, its readers, show the same rows as `events`. Of the other relations of a live
view, readers have `tenants`, `products`, `snapshot` and `pinned_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count as numbers

import duckdb

from etl.lake.errors import LakeError
from etl.lake.live import pinned
from etl.lake.live.names import Names
from etl.lake.period import Period

_NUMBERS = numbers(1)


@dataclass(slots=True)
class CopiedRows:
    """The copied rows of a period in a table.

    `con` is the view's connection; `cursor` returns a new one to the same instance, which is open
    for longer.
    """

    con: duckdb.DuckDBPyConnection
    cursor: Callable[[], duckdb.DuckDBPyConnection]
    names: Names
    period: Period
    table: str = field(default_factory=lambda: f"copied_{next(_NUMBERS)}", init=False)
    _idle: list[duckdb.DuckDBPyConnection] = field(default_factory=list, init=False)
    _is_dropped: bool = field(default=False, init=False)

    def fill(self, rows: str) -> None:
        """Copy rows, which are SQL."""
        self.con.execute(f"CREATE TABLE {self.table} AS {rows}")

    def begin(self) -> duckdb.DuckDBPyConnection:
        """Return a reader for one question; the rows stay until `ending` has ended.

        Raises LakeError.
        """
        try:
            con = self._idle.pop() if self._idle else self._open()
            con.begin()
            con.execute(f"SELECT 1 FROM {self.table} LIMIT 0")  # the transaction keeps it readable
        except duckdb.Error as error:
            raise LakeError(f"the copied rows cannot be read; ask again: {error}") from error
        return con

    @contextmanager
    def ending(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Keep a reader for later questions once this one was answered, and close it otherwise."""
        try:
            yield
            con.commit()
        except BaseException:
            con.close()
            raise
        self._idle.append(con)
        if self._is_dropped:
            self._close_readers()

    def drop(self) -> None:
        """Delete the rows, and close the readers: those that are in use, when they end."""
        self._is_dropped = True
        self._close_readers()
        with suppress(duckdb.Error):  # the instance may have failed, and its tables with it
            self.con.execute(f"DROP TABLE {self.table}")

    def _close_readers(self) -> None:
        for con in self._idle:
            con.close()
        self._idle.clear()

    def _open(self) -> duckdb.DuckDBPyConnection:
        snapshot = self.con.execute("SELECT version, tail_events FROM snapshot").fetchall()[0]
        con = self.cursor()
        con.execute(f"CREATE TEMP VIEW events AS FROM {self.table}")
        con.execute(
            "CREATE TEMP TABLE snapshot AS SELECT ?::BIGINT AS version, ?::BIGINT AS tail_events",
            snapshot,
        )
        con.execute(f"CREATE TEMP VIEW pinned_at AS FROM {pinned.AT_NONE}")
        self.names.show(con)
        return con
