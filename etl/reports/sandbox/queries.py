"""One SELECT on a live connection, as JSON in parts: bounded in rows, with one batch in memory.

`etl.reports.sandbox.pool` bounds its time, memory and bytes.
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
_ROWS_PER_PART = 500
_UNWRITABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, ArithmeticError, TypeError)
# DuckDB reports exhausted memory in many places, each with words of its own.
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
    """Yield {"columns": [...], "rows": [...], "truncated": bool}; column names are distinct.

    Raises QueryRefused if the text is not one SELECT or cannot be run, and QueryTooLarge; either
    may come after some parts.
    """
    try:
        yield from _json_parts(con, sql, rows_max)
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise QueryTooLarge from error
    except (duckdb.Error, OSError) as error:  # pyarrow raises an error of a batch as OSError
        raise (
            QueryTooLarge() if _MEMORY.search(str(error)) else QueryRefused(str(error))
        ) from error
    except _UNWRITABLE as error:
        message = f"A value cannot be written as JSON ({error}); cast it to VARCHAR."
        raise QueryRefused(message) from error


def _json_parts(con: duckdb.DuckDBPyConnection, sql: str, rows_max: int) -> Iterator[bytes]:
    only_select.check(con, sql)
    relation = con.sql(sql)
    names = _distinct(relation.columns)
    yield b'{"columns":' + orjson.dumps(names) + b',"rows":['
    rows = 0
    for batch in relation.limit(rows_max + 1).to_arrow_reader(_ROWS_PER_PART):
        kept = batch.slice(0, rows_max - rows).rename_columns(names)
        if kept.num_rows:
            yield (b"," if rows else b"") + _json_rows(kept)
        rows += batch.num_rows
    yield b'],"truncated":' + orjson.dumps(rows > rows_max) + b"}"


def _json_rows(batch: pa.RecordBatch) -> bytes:
    """Return the rows as JSON, without the brackets of the list."""
    rows = rendering.json_rows(batch.to_pylist())
    return b",".join(orjson.dumps(row, default=str) for row in rows)


def _distinct(names: list[str]) -> list[str]:
    """Return the names, with a number after each name that repeats an earlier one, as in `a_1`.

    DuckDB would also number names that differ only in case.
    """
    distinct: dict[str, None] = {}
    for name in names:
        number, free = 0, name
        while free in distinct or (number and free in names):
            number += 1
            free = f"{name}_{number}"
        distinct[free] = None
    return list(distinct)
