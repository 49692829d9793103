"""Writing the lake's Parquet files: under a temporary name, checked, synced, then linked.

Beside each file of `events` its key file (`etl.lake.keys`) is written and synced before the commit.

The final name is made from `key`, which stands for the content: equal keys mean equal rows. So an
attempt that ended before its commit leaves the file that the next attempt would write, and no
attempt overwrites a file that a concurrent attempt has committed.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import duckdb

from etl import durable
from etl.lake.commits import DataFile
from etl.lake.duck import count, quoted
from etl.lake.errors import LakeError
from etl.lake.keys import making as keys
from etl.lake.tables import PARTITION, Table

_TEMPORARY = ".tmp"
# Delta encodings and the lightest zstd: as small as the defaults, a quarter faster to read.
# Row groups are small, because a report about one tenant reads those that may hold its rows.
_FORMAT = (
    "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, "
    "ROW_GROUP_SIZE 16384"
)


class RowCountMismatch(LakeError):
    """A written file does not have the number of rows that it was made from."""


@dataclass(frozen=True, slots=True)
class PartitionRows:
    """Rows of one partition; `relation` is SQL that yields them with the table's columns.

    If they are staged, `stored` is SQL for their stored columns, with the series as an ENUM, and
    `hashes` is SQL for the hashes of their keys, as from `keys.hashes_of`.
    """

    table: Table
    event_date: str
    relation: str
    stored: str | None = None
    hashes: str | None = None


def write(
    con: duckdb.DuckDBPyConnection, folder: Path, table: Table, key: str, scratch: Path | None
) -> list[DataFile]:
    """Write `staged_<table>` to one file per partition, named by `key`; durable on return.

    `scratch`: see `write_file`.
    """
    staged = f"staged_{table.name}"
    dates = con.execute(f"SELECT DISTINCT {PARTITION}::VARCHAR FROM {staged} ORDER BY 1").fetchall()
    return [write_file(con, folder, _staged_rows(table, date), key, scratch) for (date,) in dates]


def _staged_rows(table: Table, date: str) -> PartitionRows:
    on_date = f"WHERE {PARTITION} = {quoted(date)})"
    return PartitionRows(
        table,
        date,
        f"(FROM staged_{table.name} {on_date}",
        stored=f"(SELECT * EXCLUDE ({PARTITION}) FROM stored_{table.name} {on_date}",
        hashes=f"(FROM staged_keys {on_date}" if table.is_keyed else None,
    )


def write_file(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    rows: PartitionRows,
    key: str,
    scratch: Path | None = None,
) -> DataFile:
    """Write rows, sorted, to the file that `key` names in their partition; durable on return.

    `scratch`: the folder of the temporary file, on the same file system; the partition's own by
    default. Once it is deleted, the file cannot be linked any more. Raises RowCountMismatch if the
    file does not hold every row.
    """
    partition = folder / f"{PARTITION}={rows.event_date}"
    durable.make_folder(partition)  # syncs an existing one too: its maker may have died first
    final = partition / rows.table.file_name(key)
    temporary = (scratch or partition) / f"{key}.{secrets.token_hex(4)}{_TEMPORARY}"
    con.execute(f"COPY ({_in_order(con, rows)}) TO {quoted(str(temporary))} ({_FORMAT})")
    expected = count(con, rows.relation)
    _check_rows(con, temporary, expected)
    durable.fsync_path(temporary)
    try:
        os.link(temporary, final)
    except FileExistsError:
        _check_rows(con, final, expected)
    temporary.unlink()
    if rows.table.is_keyed:
        keys.write(con, final, rows.hashes or keys.hashes_of(rows.relation))
    durable.fsync_path(partition)
    return DataFile(final, rows.event_date, expected, _stats(con, rows.table, rows.relation))


def _in_order(con: duckdb.DuckDBPyConnection, rows: PartitionRows) -> str:
    """Return SQL for the rows of the file, sorted.

    The sort copies every text, and the name of a series is a long one in every row. As an ENUM it
    is a byte or two.
    """
    stored = rows.stored or _with_enum_of_series(con, rows)
    order = ", ".join(rows.table.sort)
    return f"SELECT * REPLACE (series::VARCHAR AS series) FROM (FROM {stored} ORDER BY {order})"


def _with_enum_of_series(con: duckdb.DuckDBPyConnection, rows: PartitionRows) -> str:
    names = con.execute(
        f"SELECT DISTINCT series FROM {rows.relation} WHERE series <> ''"
    ).fetchall()
    series = ", ".join(quoted(name) for name in sorted(["", *(name for (name,) in names)]))
    written = rows.table.written(rows.relation)
    return f"(SELECT * REPLACE (series::ENUM({series}) AS series) FROM ({written}))"


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


def sweep(folder: Path) -> None:
    """Remove temporary files of killed runs. The caller holds the lake's lock."""
    for leftover in folder.glob(f"{PARTITION}=*/*{_TEMPORARY}"):
        leftover.unlink()
