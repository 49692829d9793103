"""A DuckDB connection to work with: bounded memory and threads, spilling under the lake, in UTC."""

from __future__ import annotations

from pathlib import Path

import duckdb


def connect(
    spill: Path | None, *, memory_bytes_max: int, threads_max: int
) -> duckdb.DuckDBPyConnection:
    """A new in-memory database. `spill` is made by DuckDB when it is needed; None: never."""
    con = duckdb.connect(
        config={
            "memory_limit": f"{memory_bytes_max // (1 << 20)}MiB",
            "threads": threads_max,
            "temp_directory": str(spill.absolute()) if spill else "",
        }
    )
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET preserve_insertion_order = false")  # what needs an order says so
    con.execute("SET parquet_metadata_cache = true")  # a report reads its files more than once
    return con
