"""The duplicate rule: it finds the duplicates among staged events. Specified by `duplicates.sql`.

Compaction and the live view both apply it, so a number never changes because a job ran. An event id
counts for 24 hours, a transaction for 30 days.

The staged keys are looked up in the key files of the lake (`etl.lake.keys`), so the price hardly
depends on the size of the lake. A Parquet file is read only if its key file holds the hash of a
staged key, and then for such keys alone, or if it has no usable key file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl.lake import key_search
from etl.lake.duck import count
from etl.lake.key_search import Memory
from etl.lake.keys.lookup import Answer
from etl.lake.snapshot import Snapshot

_NO_KEYS = (
    "SELECT NULL::BIGINT AS tenant_id, NULL::VARCHAR AS dedupe_key, "
    "NULL::TIMESTAMPTZ AS received_at LIMIT 0"
)


@dataclass(frozen=True, slots=True)
class Marked:
    """The number of duplicates; the Parquet files without a usable key file, with the reason."""

    duplicates: int
    unusable: dict[str, str]


def mark_duplicates(
    con: duckdb.DuckDBPyConnection, events: Snapshot, memory: Memory | None = None
) -> Marked:
    """Move the duplicates among `staged_events` to `staged_duplicates`.

    A duplicate has the key of a row in the lake or of an earlier staged row. `memory` saves work if
    most of the keys were staged before. Raises LakeError if a file of the snapshot was deleted
    meanwhile.
    """
    keys = key_search.read(con, "staged_keys")
    if not len(keys.hashes):
        return Marked(0, {})
    answer = key_search.find(events, keys, memory=memory)
    repeated = pc.unique(keys.repeated())
    if not (len(repeated) or answer.suspected or answer.unusable):
        return Marked(0, {})
    _stage_lake_keys(con, events, answer)
    con.register("repeated", pa.table({"hash": repeated}))
    con.execute(package_files("etl.lake").joinpath("duplicates.sql").read_text())
    duplicates = count(con, "dropped")
    con.unregister("repeated")
    return Marked(duplicates, answer.unusable)


def _stage_lake_keys(con: duckdb.DuckDBPyConnection, events: Snapshot, answer: Answer) -> None:
    """Make the table `lake_keys` of the rows of the lake that have a key in `staged_keys`."""
    con.register("suspects", _suspects(answer.suspects))
    parts = [
        f"SELECT tenant_id, dedupe_key, received_at FROM {events.relation(files)} "
        f"SEMI JOIN ({keys}) USING (tenant_id, dedupe_key)"
        for files, keys in (
            (answer.suspected, "FROM staged_keys SEMI JOIN suspects USING (hash)"),
            (list(answer.unusable), "FROM staged_keys"),
        )
        if files
    ]
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE lake_keys AS {' UNION ALL '.join(parts) or _NO_KEYS}"
    )
    con.unregister("suspects")


def _suspects(found: Sequence[pa.UInt64Array]) -> pa.Table:
    hashes = pc.unique(pa.chunked_array(found, pa.uint64()))
    return pa.table({"hash": hashes})
