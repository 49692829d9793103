"""Compaction: sealed lines become Parquet files and one commit per table, exactly once.

The lake takes a line only after every line received earlier. So the first by receipt among the
lines of a compaction is the first by receipt among all lines, whenever it runs. `etl.log.closed`
explains the safe time: every line received before it is in a sealed segment.

One run, under the lake's lock, waits (at most `wait_s`) until the safe time has passed the newest
line that was sealed when the run began. Then it makes passes until no line before the safe time is
left. A pass:

1. loads each table, or continues from the version that the previous pass committed; the snapshot
   has the table's watermarks of each series;
2. takes the sealed lines above the watermarks that were received before one moment, which is the
   safe time, or earlier to keep the pass within `compact_bytes_max`; the segments have no gaps and
   are verified against their names (`etl.lake.selection`);
3. reads them once into DuckDB, a part of a segment from an excerpt of it (`etl.log.excerpts`),
   and writes each table's rows, sorted and without duplicates, to Parquet files under temporary
   names; checks the counts; syncs the files, renames them, and syncs their folders
   (`etl.lake.passes`);
4. makes one synced commit per table, which adds the files and moves the watermarks.

At the end of a run, segments that every table has held whole for `segment_grace_s` are deleted
(`etl.lake.expiry`).

A kill between any two steps leaves watermarks and files as they were before or after the commit;
the next pass removes temporary files. After a conflict the pass starts over from fresh snapshots.
Every commit records three counts in its metadata: lines of the table's kind, rows written and
duplicates; lines = rows + duplicates.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl.lake import commits, duck, expiry, passes, selection
from etl.lake.errors import LakeError
from etl.lake.passes import PassCounts, PassWriter
from etl.lake.selection import UNBOUNDED_US, PassLimits, Selection, Watermarks
from etl.lake.snapshot import Snapshot, held_whole, of_table
from etl.lake.staging import SegmentUnreadable
from etl.lake.store import LakeStore, LocalLake
from etl.lake.tables import EVENTS, TABLES
from etl.layout import Layout
from etl.log import backlog, claiming, compatibility, spans
from etl.log.backlog import Stopped
from etl.log.safe_time import Settled
from etl.log.store import LocalLog, SegmentStore

log = logging.getLogger(__name__)

_CONFLICTS_MAX = 5
_POLL_S = 0.05


class CompactionConflict(Exception):
    """Other committers won every attempt. Nothing is lost; the next run continues."""


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """The bytes of log per pass, the longest wait for the safe time, the time for which compacted
    segments are kept, the memory and threads of DuckDB, and the function that writes a pass."""

    bytes_max: int = 224 << 20
    segment_grace_s: float = 900.0
    wait_s: float = 5.0
    memory_bytes_max: int = 1 << 30
    threads_max: int = 2
    write: PassWriter = passes.write


@dataclass(slots=True)
class CompactionResult:
    """The counts of a run. `rows` and `duplicates` count events; `stopped` lists damaged series."""

    segments: int = 0
    lines: int = 0
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    deleted_segments: int = 0
    recovered_segments: int = 0
    version: int | None = None
    stopped: list[Stopped] = field(default_factory=list)


def run(
    data: Path,
    plan: CompactionPlan,
    now_s: float,
    store: SegmentStore | None = None,
    lake: LakeStore | None = None,
) -> CompactionResult:
    """Compact every sealed line before the safe time. `now_s`: Unix time.

    `store` holds the segments and `lake` the tables; those of the data folder by default. Raises
    LakeError, LogUnavailable, DataFolderError, SeriesFormatError, CompactionConflict; OSError.
    """
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    layout.prepare()
    lake = lake or LocalLake(layout)
    with lake.locked():
        return run_with_lock(layout, plan, now_s, store or LocalLog.of(layout), lake)


def run_with_lock(
    layout: Layout, plan: CompactionPlan, now_s: float, store: SegmentStore, lake: LakeStore
) -> CompactionResult:
    """Compact as `run` does; the caller holds the lake's lock."""
    result = CompactionResult()
    settled = _settle(store, plan, now_s, result)  # the next run takes later segments
    with duck.connect(
        layout.spill, memory_bytes_max=plan.memory_bytes_max, threads_max=plan.threads_max
    ) as database:
        job = _Run(layout, lake, plan, settled, result, database)
        while _one_pass(job):
            pass
    snapshots = job.snapshots
    result.deleted_segments = expiry.delete_compacted(
        lake, store, snapshots, before_s=now_s - plan.segment_grace_s
    )
    result.version = of_table(snapshots, EVENTS).version
    for stopped in result.stopped:
        log.error("compaction stopped a series", extra={"fields": _fields(stopped)})
    return result


def _settle(
    store: SegmentStore, plan: CompactionPlan, now_s: float, result: CompactionResult
) -> Settled:
    """Wait until the safe time has passed every line that is sealed now and not after `now_s`."""
    deadline_s = time.monotonic() + plan.wait_s
    settled = store.settle()
    result.recovered_segments += settled.recovered
    wanted_us = min(_newest_us(settled), int(now_s * 1_000_000))
    while settled.before_us is not None and settled.before_us <= wanted_us:
        if time.monotonic() >= deadline_s:
            fields = {"series": settled.waits_for, "after_s": plan.wait_s}
            log.warning("compaction leaves lines behind a slow series", extra={"fields": fields})
            break
        _pause(_POLL_S)
        settled = store.settle()
        result.recovered_segments += settled.recovered
    return settled


def _pause(seconds: float) -> None:
    # time.sleep waits for an absolute time, which fails under a faked clock.
    threading.Event().wait(seconds)


def _newest_us(settled: Settled) -> int:
    """Return the newest receipt in the sealed segments; 0 if none can be read."""
    newest = 0
    for listed in settled.sealed.values():
        try:
            newest = max([newest, *(spans.span_of(item).last.received_us for item in listed[-1:])])
        except (spans.NoSpan, FileNotFoundError):
            continue  # the pass reports it
    return newest


def _fields(stopped: Stopped) -> dict[str, object]:
    return {"series": stopped.series, "segment": stopped.segment, "reason": stopped.reason}


def _snapshots(lake: LakeStore) -> list[Snapshot]:
    return [commits.open_or_create(lake.table(table)) for table in TABLES]


@dataclass(slots=True)
class _Run:
    """The state that the passes of one run share.

    `database`: each pass takes a cursor of it, whose temporary tables end with the pass, and the
    next pass gets their memory without asking the kernel for it.
    `reached`: the watermarks that the run has committed, by series. `snapshots`: the newest, which
    are durable; empty if the next pass must load them.
    """

    layout: Layout
    lake: LakeStore
    plan: CompactionPlan
    settled: Settled
    result: CompactionResult
    database: duckdb.DuckDBPyConnection
    verified: backlog.Verified = field(default_factory=backlog.Verified)
    reached: dict[str, Watermarks] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)

    @property
    def limits(self) -> PassLimits:
        before_us = self.settled.before_us
        return PassLimits(
            UNBOUNDED_US if before_us is None else before_us,
            self.plan.bytes_max,
            self.settled.dead,
            self.settled.now_us + claiming.CLOCK_STEP_MAX_US,
        )


def _one_pass(job: _Run) -> bool:
    """Compact the lines of one pass; return False if there was nothing to take."""
    conflicts = 0
    while conflicts < _CONFLICTS_MAX:
        snapshots = job.snapshots = job.snapshots or _snapshots(job.lake)
        held = _watermarks(job, snapshots)
        taken = selection.choose(job.settled.sealed, held, job.verified, job.limits)
        job.result.stopped = taken.stopped
        if not taken.segments:
            return False
        if job.reached.items() & taken.reached.items():  # this pass would repeat for ever
            raise LakeError("compaction: a commit did not move its watermarks")
        job.snapshots = []
        try:
            _compact(job, snapshots, taken)
        except CommitFailedError as error:
            conflicts += 1
            log.warning(
                "compaction starts over after a conflict", extra={"fields": {"why": str(error)}}
            )
        except SegmentUnreadable as error:
            job.verified.mark_damaged(error.segment, error.reason)
        except duckdb.Error as error:
            raise LakeError(f"compaction: {error}") from error
        else:
            job.reached |= taken.reached
            job.snapshots = [snapshot.after_commit() for snapshot in snapshots]
            return True
    raise CompactionConflict(f"no commit succeeded in {_CONFLICTS_MAX} attempts")


def _watermarks(job: _Run, snapshots: Sequence[Snapshot]) -> dict[str, Watermarks]:
    """Return the watermarks up to which every table holds each series."""
    return {
        series: Watermarks(
            held_whole(snapshots, series),
            min(item.lines(series) for item in snapshots),
        )
        for series in job.settled.sealed
    }


def _compact(job: _Run, snapshots: Sequence[Snapshot], taken: Selection) -> None:
    result, counts = job.result, PassCounts()
    try:
        with job.database.cursor() as con:
            job.plan.write(con, job.layout, snapshots, taken, counts)
    finally:  # tables that were committed before a conflict count too
        result.rows += counts.rows
        result.duplicates += counts.duplicates
        result.rejected += counts.rejected
    result.segments += taken.completed
    result.lines += counts.lines
