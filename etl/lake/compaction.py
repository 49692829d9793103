"""Compaction: sealed lines become Parquet files and one commit per table, exactly once.

The lake takes nothing before everything received earlier: whenever a compaction runs, "first by
receipt" among the lines it takes is first by receipt among all. `etl.log.closed` says how the time
is known up to which no line can be missing.

One run, under the compaction lock, waits until that safe time has passed what was sealed when it
began (bounded by `wait_s`), then makes passes until nothing before the safe time is left. A pass:

1. load each table, or take the version that the pass before committed; its watermarks of a series
   are in its snapshot;
2. take the sealed lines above the watermarks that were received before one moment, which is the
   safe time or earlier, so that they are about `compact_bytes_max` at most; the segments are
   without gaps and verified against their names (`etl.lake.selection`);
3. DuckDB reads them once; each table's rows, sorted, duplicates apart from events, go to Parquet
   files under temporary names; counts are checked; the files are synced and renamed, their folders
   synced;
4. one commit per table adds the files and moves the watermarks, and is synced.

At the end, segments that every table has held whole for `segment_grace_s` are deleted
(`etl.lake.expiry`).

A kill between any two steps leaves watermarks and files as they were before or after the commit;
temporary files are swept by the next pass. On a conflict the pass starts over from fresh
snapshots. For every commit, lines of the table's kind = rows written + duplicates found; both are
in the commit's metadata.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl import durable
from etl.lake import commits, duck, expiry, parquet, selection, staging
from etl.lake.errors import LakeError
from etl.lake.selection import UNBOUNDED_US, Limits, Marks, Selection
from etl.lake.snapshot import SIGNED, Snapshot, lines_of
from etl.lake.tables import EVENTS, REJECTED, TABLES
from etl.layout import Layout
from etl.log import backlog, claiming, compatibility, safe_time, spans
from etl.log.backlog import Stopped
from etl.log.safe_time import Settled

log = logging.getLogger(__name__)

_CONFLICTS_MAX = 5
_POLL_S = 0.05


class CompactionConflict(Exception):
    """Other committers kept winning; nothing is lost, the next run goes on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much one pass takes, how long a run waits for the safe time, and how long a compacted
    segment is kept."""

    bytes_max: int = 256 << 20
    segment_grace_s: float = 900.0
    wait_s: float = 5.0
    memory_bytes_max: int = 1 << 30
    threads_max: int = 2


@dataclass(slots=True)
class Outcome:
    """The result of a run. `rows` and `duplicates` count events; `stopped` names damaged series."""

    segments: int = 0
    lines: int = 0
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    deleted_segments: int = 0
    recovered_segments: int = 0
    version: int | None = None
    stopped: list[Stopped] = field(default_factory=list)


def run(data: Path, plan: Plan, now_s: float) -> Outcome:
    """Compact everything that is sealed, in as many passes as it takes. `now_s`: Unix time.

    Raises LakeError, DataFolderError, SeriesFormatError, CompactionConflict; OSError when the disk
    refuses.
    """
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    layout.prepare()
    with durable.locked(layout.lake_lock):
        return run_locked(layout, plan, now_s)


def run_locked(layout: Layout, plan: Plan, now_s: float) -> Outcome:
    """As `run`, for a caller that holds the compaction lock."""
    outcome = Outcome()
    settled = _settle(layout, plan, now_s, outcome)  # what is sealed later is the next run's
    job = _Run(layout, plan, settled, outcome)
    while _one_pass(job):
        pass
    snapshots = job.snapshots
    outcome.deleted_segments = expiry.delete_compacted(
        layout, snapshots, before_s=now_s - plan.segment_grace_s
    )
    outcome.version = next(item.version for item in snapshots if item.table is EVENTS)
    for stopped in outcome.stopped:
        log.error("compaction stopped a series", extra={"fields": _fields(stopped)})
    return outcome


def _settle(layout: Layout, plan: Plan, now_s: float, outcome: Outcome) -> Settled:
    """Wait for the safe time to pass what is sealed now, but not what is stamped in the future."""
    deadline_s = time.monotonic() + plan.wait_s
    settled = safe_time.settle(layout.log, layout.log_lock)
    outcome.recovered_segments += settled.recovered
    wanted_us = min(_newest_us(settled), int(now_s * 1_000_000))
    while settled.before_us is not None and settled.before_us <= wanted_us:
        if time.monotonic() >= deadline_s:
            fields = {"series": settled.waits_for, "after_s": plan.wait_s}
            log.warning("compaction leaves lines behind a slow series", extra={"fields": fields})
            break
        _pause(_POLL_S)
        settled = safe_time.settle(layout.log, layout.log_lock)
        outcome.recovered_segments += settled.recovered
    return settled


def _pause(seconds: float) -> None:
    # time.sleep waits for an absolute time, which fails under a clock that is faked.
    threading.Event().wait(seconds)


def _newest_us(settled: Settled) -> int:
    """The newest receipt that is sealed; 0 where none can be read."""
    newest = 0
    for listed in settled.sealed.values():
        try:
            newest = max([newest, *(spans.span_of(one).last.received_us for one in listed[-1:])])
        except (spans.NoSpan, FileNotFoundError):
            continue  # the pass tells what is wrong with it
    return newest


def _fields(stopped: Stopped) -> dict[str, object]:
    return {"series": stopped.series, "segment": stopped.segment, "reason": stopped.reason}


def _snapshots(layout: Layout) -> list[Snapshot]:
    return [commits.open_or_create(layout.table(table.name), table) for table in TABLES]


@dataclass(slots=True)
class _Run:
    """The state that passes of one run share.

    `done` is how far each series was committed. `snapshots` are durable and the newest, or none
    where they have to be loaded.
    """

    layout: Layout
    plan: Plan
    settled: Settled
    outcome: Outcome
    verified: backlog.Verified = field(default_factory=backlog.Verified)
    done: dict[str, Marks] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        before_us = self.settled.before_us
        return Limits(
            UNBOUNDED_US if before_us is None else before_us,
            self.plan.bytes_max,
            self.settled.dead,
            self.settled.now_us + claiming.CLOCK_STEP_MAX_US,
        )


def _one_pass(job: _Run) -> bool:
    """Compact one budget's worth of lines; False when there was nothing to take."""
    conflicts = 0
    while conflicts < _CONFLICTS_MAX:
        snapshots = job.snapshots = job.snapshots or _snapshots(job.layout)
        chosen = selection.choose(
            job.settled.sealed, _marks(job, snapshots), job.verified, job.limits
        )
        job.outcome.stopped = chosen.stopped
        if not chosen.segments:
            return False
        if any(job.done.get(series) == marks for series, marks in chosen.reached.items()):
            raise LakeError("compaction: a commit did not move its watermarks")
        job.snapshots = []
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
            job.done |= chosen.reached
            job.snapshots = [snapshot.after_commit() for snapshot in snapshots]
            return True
    raise CompactionConflict(f"no commit succeeded in {_CONFLICTS_MAX} attempts")


def _marks(job: _Run, snapshots: Sequence[Snapshot]) -> dict[str, Marks]:
    """Return how far every table holds each series."""
    return {
        series: Marks(
            min(item.watermark(series) for item in snapshots),
            min(item.lines(series) for item in snapshots),
        )
        for series in job.settled.sealed
    }


def _compact(
    layout: Layout, plan: Plan, snapshots: Sequence[Snapshot], chosen: Selection, outcome: Outcome
) -> None:
    with duck.connect(
        layout.spill, memory_bytes_max=plan.memory_bytes_max, threads_max=plan.threads_max
    ) as con:
        staging.stage_lines(con, chosen.segments, parts=chosen.parts)
        lines = duck.count(con, "lines")
        staging.stage_tables(con, snapshots)
        for snapshot in snapshots:
            _compact_table(con, layout, snapshot, chosen, outcome)
    outcome.segments += chosen.completed
    outcome.lines += lines


def _compact_table(
    con: duckdb.DuckDBPyConnection,
    layout: Layout,
    snapshot: Snapshot,
    chosen: Selection,
    outcome: Outcome,
) -> None:
    table = snapshot.table
    moved = _moved(snapshot, chosen)
    if not moved:
        return
    if table is EVENTS and not snapshot.watermark(SIGNED) and staging.has_signed(con):
        moved[SIGNED] = 1
    staged = duck.count(con, f"staged_{table.name}")
    duplicates = staging.mark_duplicates(con, snapshot) if table is EVENTS else 0
    files = parquet.write(con, layout.table(table.name), table, _key(snapshot, chosen))
    rows = sum(file.rows for file in files)
    books = {"lines": staged, "rows": rows, "duplicates": duplicates}
    commits.commit(layout.table(table.name), snapshot, files, moved, books)
    if table is EVENTS:
        outcome.rows += rows
        outcome.duplicates += duplicates
    elif table is REJECTED:
        outcome.rejected += rows


def _moved(snapshot: Snapshot, chosen: Selection) -> dict[str, int]:
    """The table's watermarks that the pass moves, by app id."""
    moved: dict[str, int] = {}
    for series, marks in chosen.reached.items():
        if marks.segment > snapshot.watermark(series):
            moved[series] = marks.segment
        if marks.seq > snapshot.lines(series):
            moved[lines_of(series)] = marks.seq
    return moved


def _key(snapshot: Snapshot, chosen: Selection) -> str:
    """Names the pass's files of a table: the same name is always the same rows."""
    taken = [
        f"{item.series}/{item.path.name}:{chosen.parts.get(item, '')}" for item in chosen.segments
    ]
    text = ";".join([str(snapshot.version), *snapshot.table.columns, *taken])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
