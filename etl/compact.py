"""Compaction: sealed segments become Parquet files and one commit a table, exactly once.

One pass, under the compaction lock:

1. recover orphaned segments, load each table; its watermark of a series is in its snapshot;
2. take the sealed segments above the watermarks, without gaps, verified against their names,
   oldest first, up to `compact_bytes_max`;
3. DuckDB reads them once; each table's rows, sorted, duplicates apart from events, go to Parquet
   files under temporary names; counts are checked; the files are synced and renamed, their folders
   synced;
4. one commit a table adds the files and moves the watermarks, and is synced;
5. segments that every table has held for `segment_grace_s` are deleted, but for the newest of
   each series, from which its numbering goes on.

A kill between any two steps leaves watermarks and files as they were before or after the commit;
temporary files are swept by the next pass. On a conflict the pass starts over from fresh
snapshots. For every commit, lines of the table's kind = rows written + duplicates found; both are
in the commit's metadata.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl import (
    backlog,
    cleanup,
    duck,
    durable,
    formats,
    lake,
    parquet,
    recovery,
    segments,
    staging,
)
from etl.backlog import Stopped
from etl.lake import LakeError, Snapshot
from etl.layout import Layout
from etl.segments import Sealed
from etl.tables import EVENTS, REJECTED, TABLES

log = logging.getLogger(__name__)

_CONFLICTS_MAX = 5


class CompactionConflict(Exception):
    """Other committers kept winning; nothing is lost, the next run goes on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much one pass takes, and how long a compacted segment is kept."""

    bytes_max: int = 256 << 20
    segment_grace_s: float = 900.0
    memory_bytes_max: int = 1 << 30
    threads_max: int = 2


@dataclass(slots=True)
class Outcome:
    """What a run did. `rows` and `duplicates` count events; `stopped` names damaged series."""

    segments: int = 0
    lines: int = 0
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    deleted_segments: int = 0
    recovered_segments: int = 0
    version: int | None = None
    stopped: list[Stopped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pass:
    """The segments one pass takes: readable and above the watermarks of at least one table."""

    taken: list[Sealed]
    watermarks: dict[str, int]

    def key(self, snapshot: Snapshot) -> str:
        """Names the pass's files of a table: the same name is always the same rows."""
        parts = [str(snapshot.version), *snapshot.table.columns]
        parts += [f"{item.series}/{item.path.name}" for item in self.taken]
        return hashlib.sha256(";".join(parts).encode()).hexdigest()[:20]


def run(data: Path, plan: Plan, now_s: float) -> Outcome:
    """Compact everything that is sealed, in as many passes as it takes. `now_s`: Unix time.

    Raises LakeError, DataFolderError, SeriesFormatError, CompactionConflict; OSError when the disk
    refuses.
    """
    layout = Layout(data.absolute())
    formats.refuse_newer(layout)
    layout.prepare()
    with durable.locked(layout.lake_lock):
        return run_locked(layout, plan, now_s)


def run_locked(layout: Layout, plan: Plan, now_s: float) -> Outcome:
    """As `run`, for a caller that holds the compaction lock."""
    outcome = Outcome()
    outcome.recovered_segments = len(recovery.recover_orphans(layout.log, layout.log_lock))
    sealed = segments.sealed_everywhere(layout.log)  # what is sealed later is the next run's
    job = _Run(layout, plan, sealed, outcome)
    while _one_pass(job):
        pass
    snapshots = _snapshots(layout)
    outcome.deleted_segments = cleanup.delete_compacted(
        layout, snapshots, before_s=now_s - plan.segment_grace_s
    )
    outcome.version = next(item.version for item in snapshots if item.table is EVENTS)
    for stopped in outcome.stopped:
        log.error("compaction stopped a series", extra={"fields": _fields(stopped)})
    return outcome


def _fields(stopped: Stopped) -> dict[str, object]:
    return {"series": stopped.series, "segment": stopped.segment, "reason": stopped.reason}


def _snapshots(layout: Layout) -> list[Snapshot]:
    return [lake.open_or_create(layout.table(table.name), table) for table in TABLES]


@dataclass(slots=True)
class _Run:
    """What the passes of one run share; `done` is what they have committed."""

    layout: Layout
    plan: Plan
    sealed: Mapping[str, list[Sealed]]
    outcome: Outcome
    verified: backlog.Verified = field(default_factory=backlog.Verified)
    done: set[Sealed] = field(default_factory=set)


def _one_pass(job: _Run) -> bool:
    """Compact one budget's worth of segments; False when there was nothing to take."""
    conflicts = 0
    while conflicts < _CONFLICTS_MAX:
        snapshots = _snapshots(job.layout)
        chosen, job.outcome.stopped = _choose(job.sealed, job.plan, snapshots, job.verified)
        if not chosen.taken:
            return False
        if job.done.intersection(chosen.taken):
            raise LakeError("compaction: a commit did not move its watermarks")
        try:
            _compact(job.layout, job.plan, snapshots, chosen, job.outcome)
        except CommitFailedError as error:
            conflicts += 1
            log.warning("compaction conflict", extra={"fields": {"why": str(error)}})
        except staging.SegmentRefused as error:
            job.verified.refuse(error.segment, error.reason)
        except duckdb.Error as error:
            raise LakeError(f"compaction: {error}") from error
        else:
            job.done.update(chosen.taken)
            return True
    raise CompactionConflict(f"no commit succeeded in {_CONFLICTS_MAX} attempts")


def _choose(
    sealed: Mapping[str, list[Sealed]],
    plan: Plan,
    snapshots: Sequence[Snapshot],
    verified: backlog.Verified,
) -> tuple[_Pass, list[Stopped]]:
    marks = {series: min(item.watermark(series) for item in snapshots) for series in sealed}
    stopped: list[Stopped] = []
    streams = [
        _dated(backlog.contiguous(listed, marks[series], verified), stopped)
        for series, listed in sealed.items()
    ]
    taken = _within(heapq.merge(*streams, key=lambda dated: dated[0]), plan.bytes_max)
    last = {item.series: item.number for item in taken}
    return _Pass(taken, last), stopped


def _dated(
    found: Iterable[Sealed | Stopped], stopped: list[Stopped]
) -> Iterable[tuple[str, int, Sealed]]:
    for item in found:
        if isinstance(item, Stopped):
            stopped.append(item)
            continue
        yield segments.first_receipt(item), item.path.stat().st_size, item


def _within(dated: Iterable[tuple[str, int, Sealed]], bytes_max: int) -> list[Sealed]:
    taken: list[Sealed] = []
    total = 0
    for _, size, item in dated:
        total += size
        if taken and total > bytes_max:
            break
        taken.append(item)
    return taken


def _compact(
    layout: Layout, plan: Plan, snapshots: Sequence[Snapshot], chosen: _Pass, outcome: Outcome
) -> None:
    with duck.connect(
        layout.spill, memory_bytes_max=plan.memory_bytes_max, threads_max=plan.threads_max
    ) as con:
        staging.stage_lines(con, chosen.taken)
        staging.stage_tables(con, snapshots)
        for snapshot in snapshots:
            _compact_table(con, layout, snapshot, chosen, outcome)
    outcome.segments += len(chosen.taken)
    outcome.lines += sum(item.lines for item in chosen.taken)


def _compact_table(
    con: duckdb.DuckDBPyConnection,
    layout: Layout,
    snapshot: Snapshot,
    chosen: _Pass,
    outcome: Outcome,
) -> None:
    table = snapshot.table
    moved = {
        series: last
        for series, last in chosen.watermarks.items()
        if last > snapshot.watermark(series)
    }
    if not moved:
        return
    staged = staging.count(con, f"staged_{table.name}")
    duplicates = staging.mark_duplicates(con, snapshot) if table is EVENTS else 0
    files = parquet.write(con, layout.table(table.name), table, chosen.key(snapshot))
    rows = sum(file.rows for file in files)
    books = {"lines": staged, "rows": rows, "duplicates": duplicates}
    lake.commit(layout.table(table.name), snapshot, files, moved, books)
    if table is EVENTS:
        outcome.rows += rows
        outcome.duplicates += duplicates
    elif table is REJECTED:
        outcome.rejected += rows
