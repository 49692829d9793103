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
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET preserve_insertion_order = false")  # queries that need an order have ORDER BY
    con.execute("SET parquet_metadata_cache = true")  # a report reads its files more than once
    return con


def quoted(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def one_value(con: duckdb.DuckDBPyConnection, query: str) -> object:
    """Return the value of a query with at most one row, of one column; None for no row."""
    row = con.execute(query).fetchone()
    return row[0] if row else None


def count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Return the number of rows of a relation (SQL)."""
    number = one_value(con, f"SELECT count(*) FROM {relation}")
    return number if isinstance(number, int) else 0
