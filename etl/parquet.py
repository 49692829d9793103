"""Parquet files of one compaction pass: written aside, checked, synced, then named."""

from __future__ import annotations

from pathlib import Path

import duckdb

from etl import durable
from etl.lake import DataFile, LakeError, quoted
from etl.staging import count
from etl.tables import PARTITION, Table

_TEMPORARY = ".tmp"


class RowCountMismatch(LakeError):
    """A written file does not hold the rows it was made from."""


def write(con: duckdb.DuckDBPyConnection, folder: Path, table: Table, key: str) -> list[DataFile]:
    """Write `staged_<table>`, one file a partition, named by `key`; durable when it returns."""
    _sweep(folder)
    staged = f"staged_{table.name}"
    dates = con.execute(f"SELECT DISTINCT {PARTITION}::VARCHAR FROM {staged} ORDER BY 1").fetchall()
    return [_write_partition(con, folder, table, date, key) for (date,) in dates]


def _write_partition(
    con: duckdb.DuckDBPyConnection, folder: Path, table: Table, date: str, key: str
) -> DataFile:
    partition = folder / f"{PARTITION}={date}"
    durable.make_folder(partition)  # also where it is: who made it may have died before the sync
    final = partition / f"{key}.parquet"
    temporary = partition / f"{key}.parquet{_TEMPORARY}"
    rows = f"(FROM staged_{table.name} WHERE {PARTITION} = {quoted(date)})"
    columns = ", ".join(name for name in table.columns if name != PARTITION)
    con.execute(
        f"COPY (SELECT {columns} FROM {rows} ORDER BY {', '.join(table.sort)}) "
        f"TO {quoted(str(temporary))} (FORMAT parquet, COMPRESSION zstd)"
    )
    _check_rows(con, temporary, count(con, rows))
    durable.fsync_path(temporary)
    temporary.rename(final)
    durable.fsync_path(partition)
    return DataFile(final, date, count(con, rows), _stats(con, table, rows))


def _check_rows(con: duckdb.DuckDBPyConnection, path: Path, expected: int) -> None:
    written = count(con, f"read_parquet({quoted(str(path))})")
    if written != expected:
        raise RowCountMismatch(f"{path} holds {written} rows of {expected}")


def _stats(
    con: duckdb.DuckDBPyConnection, table: Table, rows: str
) -> dict[str, tuple[object, object]]:
    columns = [
        name for name in ("tenant_id", "received_at", "occurred_at", "seq") if name in table.columns
    ]
    bounds = ", ".join(
        f"{_stat_text(table, name, 'min')}, {_stat_text(table, name, 'max')}" for name in columns
    )
    values = con.execute(f"SELECT {bounds} FROM {rows}").fetchone() or ()
    return {name: (values[2 * i], values[2 * i + 1]) for i, name in enumerate(columns)}


def _stat_text(table: Table, column: str, bound: str) -> str:
    if table.columns[column] == "TIMESTAMPTZ":
        return f"strftime({bound}({column}), '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"{bound}({column})"


def _sweep(folder: Path) -> None:
    """Remove what a killed pass left unnamed. The compaction lock is held: nobody writes it."""
    for leftover in folder.glob(f"{PARTITION}=*/*{_TEMPORARY}"):
        leftover.unlink()
