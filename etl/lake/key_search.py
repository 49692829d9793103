"""The search for keys in the files of a snapshot, for the rules that compare events by key.

An event id counts for 24 hours before and after its receipt, a transaction for 30 days.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl.lake.keys import lookup
from etl.lake.keys.format import FIRST_SALE, KeyFile
from etl.lake.keys.lookup import NOTHING, Answer, Known, Question
from etl.lake.period import SALE_WINDOW
from etl.lake.snapshot import Snapshot

_ID_WINDOW = timedelta(days=1)
_KNOWN_MAX = 1 << 21
"""The largest number of hashes that are remembered: 16 MiB."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SALE = pa.scalar(FIRST_SALE, pa.uint64())


@dataclass(slots=True)
class Memory:
    """The key files that searches opened, and the answers of the last one. Threads may share it.

    It suits searches for the keys of a growing tail. The files are immutable, and stay mapped.
    """

    known: Mapping[timedelta, Known] = field(default_factory=dict)
    """For ids and for sales, by their window."""
    _files: dict[str, KeyFile] = field(default_factory=dict)

    def copy(self) -> Memory:
        """Return a memory that shares the files and keeps its own answers from now on."""
        return Memory(self.known, self._files)

    def missing(self, data_files: Iterable[str]) -> list[str]:
        """Return the Parquet files whose key files are not open."""
        return [data_file for data_file in data_files if data_file not in self._files]

    def open(self, data_file: str, size_of: Callable[[str], int | None]) -> KeyFile:
        """Open a key file once. Raises what KeyFile.open raises."""
        file = self._files.get(data_file) or KeyFile.open(data_file, size_of(data_file))
        self._files[data_file] = file
        return file

    def keep_only(self, data_files: Collection[str]) -> None:
        """Close the key files of all other Parquet files."""
        for data_file in set(self._files).difference(data_files):
            self._files.pop(data_file, None)


@dataclass(frozen=True, slots=True)
class SortedKeys:
    """The hashes of keys in ascending order, and each one's receipt in microseconds."""

    hashes: pa.UInt64Array
    received_us: pa.Int64Array

    def repeated(self) -> pa.UInt64Array:
        """Return the hashes that occur more than once; some of them several times."""
        before, after = self.hashes[:-1], self.hashes[1:]
        return after.filter(pc.equal(before, after))


def read(con: duckdb.DuckDBPyConnection, keys: str) -> SortedKeys:
    """Read keys; `keys` is SQL that yields the hash and received_at of each."""
    rows = con.sql(
        f"SELECT hash, epoch_us(received_at) AS received_us FROM {keys} ORDER BY hash"
    ).to_arrow_table()
    return SortedKeys(rows["hash"].combine_chunks(), rows["received_us"].combine_chunks())


def find(
    events: Snapshot,
    keys: SortedKeys,
    *,
    among: Container[str] | None = None,
    memory: Memory | None = None,
) -> Answer:
    """Look up keys in the key files of the files that may lie in their windows.

    Only the files `among` are asked, if they are listed. A file is not asked again for keys that
    `memory` knows; it then knows the keys of this search. Raises LakeError if a file of the
    snapshot was deleted meanwhile.
    """
    memory = memory or Memory()
    questions = dict(_questions(keys, memory.known))
    if not questions:
        return Answer()
    first_us = min(question.first_us for question in questions.values())
    first_day = (_EPOCH + timedelta(microseconds=first_us)).date()
    files = events.files_since(str(first_day))
    asked = [file for file in files if among is None or file in among]
    events.fetch_keys(memory.missing(asked))
    open_file = partial(memory.open, size_of=events.size_bytes)
    answer = lookup.ask(asked, list(questions.values()), open_file)
    memory.keep_only(set(events.files).difference(answer.unusable))  # those will be made again
    if sum(len(known.hashes) for known in answer.known) <= _KNOWN_MAX:
        memory.known = dict(zip(questions, answer.known, strict=True))
    return answer


def _questions(
    keys: SortedKeys, known: Mapping[timedelta, Known]
) -> Iterator[tuple[timedelta, Question]]:
    """Yield each window with the question for its keys."""
    sales = pc.search_sorted(keys.hashes, _FIRST_SALE).as_py()
    for place, window in ((slice(sales), _ID_WINDOW), (slice(sales, None), SALE_WINDOW)):
        hashes = keys.hashes[place]
        if not len(hashes):
            continue
        span = pc.min_max(keys.received_us[place]).as_py()
        window_us = window // timedelta(microseconds=1)
        known_of = known.get(window, NOTHING)
        yield window, Question(hashes, span["min"] - window_us, span["max"] + window_us, known_of)
