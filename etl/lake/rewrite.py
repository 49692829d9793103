"""Rewriting files of one partition into one sorted file, proven to hold the same rows.

A fingerprint of all columns, which does not depend on the order of the rows, compares the new file
with its sources before anything is committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from etl.lake import parquet
from etl.lake.commits import DataFile
from etl.lake.duck import one_value
from etl.lake.errors import LakeError
from etl.lake.parquet import PartitionRows
from etl.lake.snapshot import ListedFile, Snapshot


class RewriteMismatch(LakeError):
    """A rewritten file does not hold the rows of its sources. It was not committed."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Files of one partition, and the condition (SQL) on the rows to keep.

    `replaced`: column -> SQL for its value from a row named `each_row`, which must depend on the
    row and this text alone.
    """

    files: Sequence[ListedFile]
    keep: str = "true"
    replaced: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_date(self) -> str:
        return self.files[0].event_date

    @property
    def columns(self) -> str:
        """The columns of the new rows, as SQL."""
        values = ", ".join(f"{value} AS {column}" for column, value in self.replaced.items())
        return f"* REPLACE ({values})" if values else "*"

    @property
    def key(self) -> str:
        """The name of the new file: the same rewrite always has the same name."""
        replaced = (f"{column}={value}" for column, value in sorted(self.replaced.items()))
        text = ";".join([*sorted(file.path for file in self.files), self.keep, *replaced])
        return "r" + hashlib.sha256(text.encode()).hexdigest()[:19]


def run(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, rewrite: Rewrite) -> DataFile | None:
    """Write the file, durable but not committed, and return it; None if no row is kept."""
    _, store = snapshot.opened()
    before = snapshot.relation([str(store.folder / file.path) for file in rewrite.files])
    kept = f"(SELECT {rewrite.columns} FROM {before} AS each_row WHERE {rewrite.keep})"
    if not one_value(con, f"SELECT count(*) FROM {kept}"):
        return None
    rows = PartitionRows(snapshot.table, rewrite.event_date, kept)
    written = parquet.write_file(con, store.folder, rows, store.file_key(rewrite.key))
    after = snapshot.relation([str(written.path)])
    if _fingerprint(con, kept) != _fingerprint(con, after):
        raise RewriteMismatch(f"{written.path} does not hold the rows it was made from")
    return written


def _fingerprint(con: duckdb.DuckDBPyConnection, relation: str) -> object:
    query = f"SELECT count(*), sum(hash(each_row)::HUGEINT) FROM {relation} AS each_row"
    return con.execute(query).fetchone()
