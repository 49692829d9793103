"""One SELECT on a live connection, as JSON in parts: bounded in rows, one batch in memory.

Whose SELECT it is, and the bounds of time, memory and bytes: see `etl.reports.sandbox.runner`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import orjson
import pyarrow as pa

from etl.reports import rendering
from etl.reports.sandbox import only_select
from etl.reports.sandbox.only_select import QueryRefused

ROWS_MAX = 10_000
_ROWS_A_PART = 500
_UNWRITABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, ArithmeticError, TypeError)
# A process that has no more memory learns it in one of many places of DuckDB.
_MEMORY = re.compile("out of memory|bad_alloc|failed to allocate|cannot allocate", re.IGNORECASE)


class QueryTooLarge(QueryRefused):
    """The query needs more memory than it may take."""

    def __init__(self) -> None:
        super().__init__(
            "The query needs more memory than it may take, or is nested too deep; select fewer "
            "columns or rows, or raise report_memory_bytes_max."
        )


def json_parts(
    con: duckdb.DuckDBPyConnection, sql: str, rows_max: int = ROWS_MAX
) -> Iterator[bytes]:
    """Yield {"columns": [...], "rows": [...], "truncated": bool}, the rows under distinct names.

    Raises QueryRefused where the text is not one SELECT or cannot be run, QueryTooLarge; both
    may come after some parts.
    """
    try:
        yield from _json_parts(con, sql, rows_max)
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise QueryTooLarge from error
    except duckdb.Error as error:
        raise (
            QueryTooLarge() if _MEMORY.search(str(error)) else QueryRefused(str(error))
        ) from error
    except _UNWRITABLE as error:
        message = f"A value cannot be written as JSON ({error}); cast it to VARCHAR."
        raise QueryRefused(message) from error


def _json_parts(con: duckdb.DuckDBPyConnection, sql: str, rows_max: int) -> Iterator[bytes]:
    only_select.check(con, sql)
    found = con.sql(sql)
    names = _distinct(found.columns)
    yield b'{"columns":' + orjson.dumps(names) + b',"rows":['
    rows = 0
    for batch in found.limit(rows_max + 1).to_arrow_reader(_ROWS_A_PART):
        kept = batch.slice(0, rows_max - rows).rename_columns(names)
        if kept.num_rows:
            yield (b"," if rows else b"") + _written(kept)
        rows += batch.num_rows
    yield b'],"truncated":' + orjson.dumps(rows > rows_max) + b"}"


def _written(batch: pa.RecordBatch) -> bytes:
    """The rows as JSON, without the brackets of a list."""
    rows = rendering.json_rows(batch.to_pylist())
    return b",".join(orjson.dumps(row, default=str) for row in rows)


def _distinct(names: list[str]) -> list[str]:
    """The names as they are, but for one that was there before: that gets a number, as in `a_1`.

    DuckDB itself would number names that differ in case, too.
    """
    used = set(names)
    seen: set[str] = set()
    kept: list[str] = []
    for name in names:
        number, free = 0, name
        while free in seen or (number and free in used):
            number += 1
            free = f"{name}_{number}"
        seen.add(free)
        kept.append(free)
    return kept
