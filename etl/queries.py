"""One SELECT of an administrator's own, on a live connection: bounded in time, memory and rows.

    from etl import lake, queries
    queries.run(lake.connect(), "SELECT type, count(*) FROM events GROUP BY type").table

A statement that is not a SELECT is refused before it runs. What a SELECT may read is decided by
the connection: see `reports.lock_down`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import duckdb
import orjson
import pyarrow as pa

from etl import render
from etl.lake import LakeError
from etl.reports import ReportTimeout

ROWS_MAX = 10_000


class QueryRefused(Exception):
    """The text is not one SELECT, or DuckDB cannot run it: one line says why."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's first rows, under distinct names, and whether there were more."""

    table: pa.Table
    is_cut: bool


def run(
    con: duckdb.DuckDBPyConnection, sql: str, *, timeout_s: float = 30.0, rows_max: int = ROWS_MAX
) -> Rows:
    """Run one SELECT. Raises QueryRefused, ReportTimeout, LakeError."""
    timer = threading.Timer(timeout_s, con.interrupt)
    try:
        _refuse_all_but_one_select(con, sql)
        timer.start()
        found = con.sql(sql)
        names = _distinct(found.columns)
        table = found.limit(rows_max + 1).to_arrow_table().rename_columns(names)
    except duckdb.InterruptException as error:
        raise ReportTimeout(f"the query took longer than {timeout_s:g} s") from error
    except duckdb.OutOfMemoryException as error:
        raise LakeError("the query needs more memory than it may take") from error
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error
    finally:
        timer.cancel()
    return Rows(table.slice(0, rows_max), table.num_rows > rows_max)


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


def to_json(rows: Rows) -> bytes:
    """{"columns": [...], "rows": [...], "truncated": bool}."""
    return orjson.dumps(
        {
            "columns": rows.table.column_names,
            "rows": render.json_rows(rows.table.to_pylist()),
            "truncated": rows.is_cut,
        },
        default=str,
    )


def _refuse_all_but_one_select(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = con.extract_statements(sql)
    kinds = [statement.type for statement in statements]
    if kinds != [duckdb.StatementType.SELECT]:
        raise QueryRefused("Send one SELECT statement; nothing can be changed here.")
