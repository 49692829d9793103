"""A DuckDB connection that a test watches: something happens before a statement of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb


class Watched:
    """A connection that calls `before` with the SQL of each statement, and then executes it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, before: Callable[[str], None]) -> None:
        self.con = con
        self.before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.con, name)

    def execute(self, sql: str, *args: Any) -> Any:
        self.before(sql)
        return self.con.execute(sql, *args)
