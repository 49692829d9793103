"""The duplicate rule: it finds the duplicates among staged events. Specified by `duplicates.sql`.

Compaction and the live view both apply it, so a number never changes because a job ran. An event id
counts for 24 hours, a transaction for 30 days.

The staged keys are looked up in the key files of the lake (`etl.lake.keys`), so the price hardly
depends on the size of the lake. A Parquet file is read only if its key file holds the hash of a
staged key, and then for such keys alone, or if it has no usable key file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files as package_files

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl.lake.duck import count
from etl.lake.keys import lookup
from etl.lake.keys.format import FIRST_SALE
from etl.lake.keys.lookup import Answer, Question
from etl.lake.snapshot import Snapshot

_ID_WINDOW, _SALE_WINDOW = timedelta(days=1), timedelta(days=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_KEYS = (
    "SELECT NULL::BIGINT AS tenant_id, NULL::VARCHAR AS dedupe_key, "
    "NULL::TIMESTAMPTZ AS received_at LIMIT 0"
)


@dataclass(frozen=True, slots=True)
class Marked:
    """The number of duplicates; the Parquet files without a usable key file, with the reason."""

    duplicates: int
    unusable: dict[str, str]


def mark_duplicates(con: duckdb.DuckDBPyConnection, events: Snapshot) -> Marked:
    """Move the duplicates among `staged_events` to `staged_duplicates`.

    A duplicate has the key of a row in the lake or of an earlier staged row. Raises LakeError if a
    file of the snapshot was deleted meanwhile.
    """
    questions = list(_questions(con))
    if not questions:
        return Marked(0, {})
    first_us = min(question.first_us for question in questions)
    first_day = (_EPOCH + timedelta(microseconds=first_us)).date()
    answer = lookup.ask(events.files_since(str(first_day)), questions)
    _stage_lake_keys(con, events, answer)
    con.execute(package_files("etl.lake").joinpath("duplicates.sql").read_text())
    return Marked(count(con, "dropped"), answer.unusable)


def _questions(con: duckdb.DuckDBPyConnection) -> Iterator[Question]:
    """Yield a question per window, about the keys in `staged_keys`."""
    for hashes_of, window in (
        (f"hash < {FIRST_SALE}", _ID_WINDOW),
        (f"hash >= {FIRST_SALE}", _SALE_WINDOW),
    ):
        first_us, last_us = con.execute(
            "SELECT min(epoch_us(received_at)), max(epoch_us(received_at)) "
            f"FROM staged_keys WHERE {hashes_of}"
        ).fetchall()[0]
        if first_us is None:
            continue
        query = f"SELECT DISTINCT hash FROM staged_keys WHERE {hashes_of} ORDER BY hash"
        hashes = con.sql(query).to_arrow_table().column("hash").combine_chunks()
        window_us = window // timedelta(microseconds=1)
        yield Question(hashes, first_us - window_us, last_us + window_us)


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
