"""The search for keys in the files of a snapshot, for the rules that compare events by key.

An event id counts for 24 hours before and after its receipt, a transaction for 30 days.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl.lake.keys import lookup
from etl.lake.keys.format import FIRST_SALE
from etl.lake.keys.lookup import NOTHING, Answer, Known, Question
from etl.lake.snapshot import Snapshot

SALE_WINDOW = timedelta(days=30)
_ID_WINDOW = timedelta(days=1)
_KNOWN_MAX = 1 << 21
"""The largest number of hashes that are remembered: 16 MiB."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Memory:
    """The answers of the last search for the keys of a growing tail. Threads may share it."""

    known: Mapping[bool, Known] = field(default_factory=dict)
    """Of ids (False) and of sales (True)."""

    def copy(self) -> Memory:
        """Return a memory that knows the same; it does not change when this one does."""
        return Memory(self.known)


def find(
    con: duckdb.DuckDBPyConnection,
    events: Snapshot,
    keys: str,
    *,
    among: Container[str] | None = None,
    memory: Memory | None = None,
) -> Answer:
    """Look up keys in the key files of the files that may lie in their windows.

    `keys` is SQL that yields the hash and received_at of each key; only the files `among` are
    asked, if they are listed. A file is not asked again for keys that `memory` knows; it then knows
    the keys of this search. Raises LakeError if a file of the snapshot was deleted meanwhile.
    """
    memory = memory or Memory()
    questions = dict(_questions(con, keys, memory.known))
    if not questions:
        return Answer()
    first_us = min(question.first_us for question in questions.values())
    first_day = (_EPOCH + timedelta(microseconds=first_us)).date()
    files = events.files_since(str(first_day))
    asked = [file for file in files if among is None or file in among]
    answer = lookup.ask(asked, list(questions.values()))
    if sum(len(known.hashes) for known in answer.known) <= _KNOWN_MAX:
        memory.known = dict(zip(questions, answer.known, strict=True))
    return answer


def _questions(
    con: duckdb.DuckDBPyConnection, keys: str, known: Mapping[bool, Known]
) -> Iterator[tuple[bool, Question]]:
    """Yield a question per window, and whether it is that of sales."""
    spans = con.execute(
        f"SELECT hash >= {FIRST_SALE} AS is_sale, min(epoch_us(received_at)), "
        f"max(epoch_us(received_at)) FROM {keys} GROUP BY is_sale"
    ).fetchall()
    hashes = con.sql(f"SELECT DISTINCT hash FROM {keys} ORDER BY hash").to_arrow_table()
    ordered = hashes.column("hash").combine_chunks()
    first_sale = pc.search_sorted(ordered, pa.scalar(FIRST_SALE, pa.uint64())).as_py()
    for is_sale, first_us, last_us in spans:
        window = SALE_WINDOW if is_sale else _ID_WINDOW
        window_us = window // timedelta(microseconds=1)
        of_window = ordered[first_sale:] if is_sale else ordered[:first_sale]
        span_us = first_us - window_us, last_us + window_us
        yield is_sale, Question(of_window, *span_us, known.get(is_sale, NOTHING))
