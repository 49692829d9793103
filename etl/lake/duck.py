"""DuckDB connections with bounds on memory and threads, and small helpers for SQL."""

from __future__ import annotations

from pathlib import Path

import duckdb


def connect(
    spill: Path | None, *, memory_bytes_max: int, threads_max: int
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database in UTC.

    DuckDB makes the folder `spill` when it spills to disk; with None it never spills.
    """
    con = duckdb.connect(
        config={
            "memory_limit": f"{memory_bytes_max // (1 << 20)}MiB",
            "threads": threads_max,
            "temp_directory": str(spill.absolute()) if spill else "",
        }
    )
    # GLOBAL: for the cursors of the connection too.
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    con.execute("SET GLOBAL preserve_insertion_order = false")  # an order needs an ORDER BY
    con.execute("SET GLOBAL parquet_metadata_cache = true")  # files are read more than once
    return con


def lock_down(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let a connection, and all of its instance, read files in `folder` only, for ever."""
    con.execute(f"SET allowed_directories = [{quoted(str(folder.absolute()))}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def quoted(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def one_value(con: duckdb.DuckDBPyConnection, query: str) -> object:
    """Return the value of a query with at most one row, of one column; None for no row."""
    rows = con.execute(query).fetchall()
    return rows[0][0] if rows else None


def count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Return the number of rows of a relation (SQL)."""
    number = one_value(con, f"SELECT count(*) FROM {relation}")
    return number if isinstance(number, int) else 0
