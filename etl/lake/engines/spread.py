"""A pass of a compaction that workers write, and its driver commits.

The driver checks the counts before its first commit: the read tasks found every line of the
segments, the write tasks took every line of each shard, and each line of a table became a row or a
duplicate.
"""

from __future__ import annotations

import hashlib
import heapq
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from etl.lake import parquet, passes, staging
from etl.lake.engines import tasks
from etl.lake.engines.shuffle import Share
from etl.lake.engines.tasks import (
    Away,
    PassFacts,
    ReadTask,
    TableState,
    Unreadable,
    WriteTask,
    WrittenShard,
)
from etl.lake.engines.workers import Workers
from etl.lake.errors import LakeError
from etl.lake.passes import PassCounts, Written
from etl.lake.period import SALE_WINDOW
from etl.lake.selection import Selection
from etl.lake.snapshot import SIGNED, Snapshot, lines_of, of_table
from etl.lake.staging import SegmentUnreadable, Source
from etl.lake.tables import EVENTS
from etl.layout import Layout
from etl.log import excerpts, spans
from etl.log.segments import Sealed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CountMismatch(LakeError):
    """The results of the tasks do not hold every line once. Nothing was committed."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Writes passes by tasks of workers. `memory_bytes_max`: of the DuckDB of one task."""

    workers: Workers
    memory_bytes_max: int

    def write(
        self,
        con: duckdb.DuckDBPyConnection,
        layout: Layout,
        snapshots: Sequence[Snapshot],
        taken: Selection,
        counts: PassCounts,
    ) -> None:
        """Do what `passes.write` does, and raise what it raises; WorkersFailed, CountMismatch."""
        for snapshot in snapshots:
            parquet.sweep(snapshot.opened()[1].folder)
        events = of_table(snapshots, EVENTS)
        _fetch_keys(events, taken.segments)
        with _own_folder(layout.shuffle) as folder:
            facts = PassFacts(folder, self.workers.parallel, self.memory_bytes_max)
            with excerpts.cut(layout.excerpts, taken.parts) as cut:
                shares = self._read(facts, staging.sources_of(taken.segments, cut))
            counts.lines = sum(map(_lines, shares.values()))
            work = list(_write_tasks(snapshots, taken, facts, shares))
            written = self._write(work, events)
        for snapshot in snapshots:
            joined = passes.joined([tables[snapshot.table.name] for tables in written])
            passes.commit(con, snapshot, taken, joined)
            counts.add(snapshot.table, joined)

    def _read(self, facts: PassFacts, sources: Sequence[Source]) -> dict[int, list[Share]]:
        """Return the shares of each shard. Raises SegmentUnreadable."""
        work = [ReadTask(facts, group) for group in _groups(sources, facts.shards)]
        shares: dict[int, list[Share]] = {}
        for task, result in zip(work, self.workers.map(tasks.read, work), strict=True):
            if isinstance(result, Unreadable):
                raise SegmentUnreadable(result.segment, result.reason)
            _require(_lines(result.values()), sum(source.lines for source in task.sources))
            for shard, share in result.items():
                shares.setdefault(shard, []).append(share)
        return shares

    def _write(self, work: Sequence[WriteTask], events: Snapshot) -> list[Mapping[str, Written]]:
        """Return the files and counts of each table, by shard."""
        results = self._with_files(work, events, frozenset())
        for task, result in zip(work, results, strict=True):
            _require(result.lines, _lines(task.shares))
            for written in result.tables.values():
                _require(written.rows + written.duplicates, written.lines)
        return [result.tables for result in results]

    def _with_files(
        self, work: Sequence[WriteTask], events: Snapshot, fetched: frozenset[str]
    ) -> list[WrittenShard]:
        """Return the result of each task; fetch the files that a task lacks, and run it again."""
        results = self.workers.map(tasks.write, work)
        away = {path for result in results if isinstance(result, Away) for path in result.paths}
        if away & fetched:
            raise LakeError(f"{min(away & fetched)} is missing")
        events.fetch(sorted(away))
        pairs = zip(work, results, strict=True)
        unfinished = [task for task, result in pairs if isinstance(result, Away)]
        again = iter(self._with_files(unfinished, events, fetched | away) if away else ())
        return [next(again) if isinstance(result, Away) else result for result in results]


def _fetch_keys(events: Snapshot, segments: Sequence[Sealed]) -> None:
    """Make the key files be here in which a task may look up a key."""
    first_us = min(spans.span_of(segment).first.received_us for segment in segments)
    first_day = (_EPOCH + timedelta(microseconds=first_us) - SALE_WINDOW).date()
    events.fetch_keys(events.files_since(str(first_day)))


@contextmanager
def _own_folder(shuffle: Path) -> Iterator[Path]:
    """Make a folder in `shuffle` that no other pass has, and delete `shuffle` at the end.

    Tasks of an earlier pass may still run. Without its folder they can link no file to the lake.
    """
    folder = shuffle / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(shuffle, ignore_errors=True)


def _groups(sources: Iterable[Source], number: int) -> list[tuple[Source, ...]]:
    """Divide sources into at most `number` groups of about equally many lines."""
    groups: list[tuple[int, int, list[Source]]] = [(0, place, []) for place in range(number)]
    for source in sorted(sources, key=lambda item: item.lines, reverse=True):
        lines, place, group = groups[0]
        heapq.heapreplace(groups, (lines + source.lines, place, [*group, source]))
    return [tuple(group) for _, _, group in groups if group]


def _write_tasks(
    snapshots: Sequence[Snapshot],
    taken: Selection,
    facts: PassFacts,
    shares: Mapping[int, Sequence[Share]],
) -> Iterator[WriteTask]:
    # The duplicates of a pass depend on the version of `events` too.
    versions = ";".join(passes.key_of(snapshot, taken) for snapshot in snapshots)
    for shard, of_shard in sorted(shares.items()):
        text = f"{facts.versions};{versions};keys {shard}/{facts.shards}"
        key = hashlib.sha256(text.encode()).hexdigest()[:20]
        states = tuple(_state(snapshot, taken, key) for snapshot in snapshots)
        yield WriteTask(facts, tuple(of_shard), states)


def _state(snapshot: Snapshot, taken: Selection, key: str) -> TableState:
    _, store = snapshot.opened()
    series = [app_id for name in taken.reached for app_id in (name, lines_of(name))]
    return TableState(
        snapshot.table.name,
        store.folder,
        store.file_key(key),
        snapshot.version,
        snapshot.files,
        {app_id: snapshot.watermark(app_id) for app_id in (*series, SIGNED)},
        {path: size for path in snapshot.files if (size := snapshot.size_bytes(path)) is not None},
    )


def _lines(shares: Iterable[Share]) -> int:
    return sum(share.lines for share in shares)


def _require(found: int, expected: int) -> None:
    if found != expected:
        raise CountMismatch(f"compaction: a task returned {found} lines of {expected}")
