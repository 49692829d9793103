"""Lines on their way from read tasks to write tasks: Parquet files, one folder per shard.

A shard holds all lines of its keys, so the duplicate rule needs one shard at a time, and a hot
tenant is divided like all others. Lines without a key are divided by their number in the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from etl.lake.duck import count, quoted
from etl.lake.errors import LakeError

_SHARD = "shard"


@dataclass(frozen=True, slots=True)
class Share:
    """The lines of one shard that one read task wrote: their number and their files."""

    lines: int
    files: tuple[Path, ...]


def write(con: duckdb.DuckDBPyConnection, folder: Path, shards: int) -> dict[int, Share]:
    """Write the table `lines` to a new folder; return the share of each shard that has lines."""
    shard = f"(coalesce(key_hash, seq::UBIGINT) % {shards})::BIGINT"
    con.execute(f"""
        COPY (SELECT * REPLACE (series::VARCHAR AS series), {shard} AS {_SHARD} FROM lines)
        TO {quoted(str(folder))} (FORMAT parquet, PARTITION_BY ({_SHARD}))
    """)
    lines = con.execute(f"SELECT {shard}, count(*) FROM lines GROUP BY 1 ORDER BY 1").fetchall()
    return {
        number: Share(rows, tuple((folder / f"{_SHARD}={number}").iterdir()))
        for number, rows in lines
    }


def stage(con: duckdb.DuckDBPyConnection, shares: Sequence[Share]) -> int:
    """Make the tables `lines` and `sources` of a shard, as `etl.lake.staging` makes them.

    Return the number of lines. Raises LakeError if the files do not hold all of them.
    """
    files = ", ".join(quoted(str(path)) for share in shares for path in share.files)
    read = f"read_parquet([{files}], hive_partitioning = false)"
    con.execute(f"CREATE TEMP TABLE sources AS SELECT DISTINCT series FROM {read}")
    names = con.execute("SELECT series FROM sources ORDER BY 1").fetchall()
    series = ", ".join(quoted(name) for (name,) in names)
    con.execute(f"""
        CREATE TEMP TABLE lines AS
        SELECT * REPLACE (series::ENUM({series}) AS series) FROM {read}
    """)
    staged, expected = count(con, "lines"), sum(share.lines for share in shares)
    if staged != expected:
        raise LakeError(f"compaction: a shard holds {staged} lines of {expected}")
    return staged
