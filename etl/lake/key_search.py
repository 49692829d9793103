"""The search for keys in the files of a snapshot, for the rules that compare events by key.

An event id counts for 24 hours before and after its receipt, a transaction for 30 days.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import UTC, datetime, timedelta

import duckdb

from etl.lake.keys import lookup
from etl.lake.keys.format import FIRST_SALE
from etl.lake.keys.lookup import Answer, Question
from etl.lake.snapshot import Snapshot

SALE_WINDOW = timedelta(days=30)
_ID_WINDOW = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def find(
    con: duckdb.DuckDBPyConnection, events: Snapshot, keys: str, among: Container[str] | None = None
) -> Answer:
    """Look up keys in the key files of the files that may lie in their windows.

    `keys` is SQL that yields the hash and received_at of each key; only the files `among` are
    asked, if they are listed. Raises LakeError if a file of the snapshot was deleted meanwhile.
    """
    questions = list(_questions(con, keys))
    if not questions:
        return Answer()
    first_us = min(question.first_us for question in questions)
    first_day = (_EPOCH + timedelta(microseconds=first_us)).date()
    files = events.files_since(str(first_day))
    return lookup.ask([file for file in files if among is None or file in among], questions)


def _questions(con: duckdb.DuckDBPyConnection, keys: str) -> Iterator[Question]:
    """Yield a question per window."""
    for hashes_of, window in (
        (f"hash < {FIRST_SALE}", _ID_WINDOW),
        (f"hash >= {FIRST_SALE}", SALE_WINDOW),
    ):
        first_us, last_us = con.execute(
            "SELECT min(epoch_us(received_at)), max(epoch_us(received_at)) "
            f"FROM {keys} WHERE {hashes_of}"
        ).fetchall()[0]
        if first_us is None:
            continue
        query = f"SELECT DISTINCT hash FROM {keys} WHERE {hashes_of} ORDER BY hash"
        hashes = con.sql(query).to_arrow_table().column("hash").combine_chunks()
        window_us = window // timedelta(microseconds=1)
        yield Question(hashes, first_us - window_us, last_us + window_us)
