"""Maintenance: what keeps the lake small and quick, and changes no number.

One run, under the compaction lock, for each table:

1. retention: partitions older than `Plan.days_kept` are dropped whole;
2. merge: the small files of a partition are rewritten into few large sorted ones, in a commit that
   changes no data;
3. vacuum: files that no version of the last `snapshot_retention_hours` has are deleted;
4. log clean-up: a checkpoint is made and synced, then the entries of `_delta_log` are deleted that
   no version of the same time needs, oldest first.

Nothing is deleted because the clock is ahead: today is at most a day after the newest receipt in
the lake, so its newest partition is never dropped, and the age of a version is measured up to an
hour after the newest commit. `retained_from` never goes back.

A partition that is still written is merged when it has `merge_files_min` small files, so a file is
rewritten a bounded number of times; one of a past day is brought to as few files as there can be.
A kill between any two steps leaves what the next run does again; what was written and not
committed is deleted by vacuum.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl import durable
from etl.lake import commits, delta_log, duck, parquet, rewrite
from etl.lake.commits import Change, DataFile
from etl.lake.errors import LakeError
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import RETAINED_FROM, ListedFile, Snapshot, newest_date
from etl.lake.tables import EVENTS, PARTITION, REJECTED, TABLES, Table
from etl.layout import Layout
from etl.log import compatibility
from etl.trusted_clock import STEP_S

log = logging.getLogger(__name__)

_COMMIT_AGE_MAX_S = 3600.0
_DATA_FILES = f"{PARTITION}=*/*.parquet"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long data and snapshots are kept, and what counts as a small file."""

    retention_days: int = 0
    """0 keeps all."""
    rejected_retention_days: int = 0
    """Of refused payloads; 0 keeps them as long as the rest."""
    snapshot_retention_hours: int = 24
    file_bytes_target: int = 256 << 20
    merge_files_min: int = 8
    memory_bytes_max: int = 1 << 30
    threads_max: int = 2

    def days_kept(self, table: Table) -> int:
        """Days of receipt that a table keeps; 0: all."""
        days = [self.retention_days]
        if table is REJECTED:
            days.append(self.rejected_retention_days)
        return min(filter(None, days), default=0)


@dataclass(slots=True)
class Outcome:
    """What a run did, over all tables; `version` is that of the events."""

    dropped_partitions: int = 0
    dropped_rows: int = 0
    merged_files: int = 0
    written_files: int = 0
    deleted_files: int = 0
    deleted_log_entries: int = 0
    version: int | None = None
    conflicts: list[str] = field(default_factory=list)


def run(data: Path, plan: Plan, now_s: float) -> Outcome:
    """Maintain every table that there is. `now_s`: Unix time.

    Raises LakeError, DataFolderError, SeriesFormatError; OSError.
    """
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    layout.prepare()
    outcome = Outcome()
    with durable.locked(layout.lake_lock):
        snapshots = [commits.open_or_create(layout.table(table.name), table) for table in TABLES]
        today = _today(snapshots, now_s)
        for snapshot in snapshots:
            _Upkeep(layout, plan, snapshot, outcome, now_s, today).run()
        events = Snapshot.load(layout.table(EVENTS.name), EVENTS)
        outcome.version = events.version
    return outcome


def _today(snapshots: Sequence[Snapshot], now_s: float) -> date:
    """The date of `now_s`, at most a day after the newest receipt."""
    today = datetime.fromtimestamp(now_s, UTC).date()
    newest = newest_date(snapshots)
    return min(today, newest + timedelta(days=1)) if newest else today


@dataclass(slots=True)
class _Upkeep:
    """The run on one table; `snapshot` moves on with each commit."""

    layout: Layout
    plan: Plan
    snapshot: Snapshot
    outcome: Outcome
    now_s: float
    today: date

    @property
    def folder(self) -> Path:
        return self.layout.table(self.snapshot.table.name)

    def run(self) -> None:
        parquet.sweep(self.folder)
        try:
            if days_kept := self.plan.days_kept(self.snapshot.table):
                self._drop(self.today - timedelta(days=days_kept))
            for group in list(merge_groups(self.snapshot.listed(), str(self.today), self.plan)):
                self._merge(group)
        except CommitFailedError as error:
            # Another one maintains or erases: what it left is for the next run.
            self.outcome.conflicts.append(f"{self.snapshot.table.name}: {error}")
            log.warning("maintenance conflict", extra={"fields": {"why": str(error)}})
        self._vacuum()
        self._clean_log()

    def _drop(self, oldest_kept: date) -> None:
        before = max(str(oldest_kept), self.snapshot.property(RETAINED_FROM) or "")
        old = [file for file in self.snapshot.listed() if file.event_date < before]
        # Told first: whoever compares log and lake must not miss what is being dropped.
        self.snapshot = commits.set_properties(self.folder, self.snapshot, {RETAINED_FROM: before})
        if not old:
            return
        rows = sum(file.rows for file in old)
        self._replace([], old, is_rewrite=False, books={"dropped_rows": rows})
        partitions = {file.event_date for file in old}
        self.outcome.dropped_partitions += len(partitions)
        self.outcome.dropped_rows += rows
        fields = {"table": self.snapshot.table.name, "before": before, "rows": rows}
        log.info("dropped old partitions", extra={"fields": fields})

    def _merge(self, group: Sequence[ListedFile]) -> None:
        with duck.connect(
            self.layout.spill,
            memory_bytes_max=self.plan.memory_bytes_max,
            threads_max=self.plan.threads_max,
        ) as con:
            try:
                written = rewrite.run(con, self.folder, self.snapshot, Rewrite(group))
            except duckdb.Error as error:
                raise LakeError(f"merging {self.snapshot.table.name}: {error}") from error
        added = [written] if written else []
        books = {"merged_rows": sum(file.rows for file in group)}
        self._replace(added, group, is_rewrite=True, books=books)
        self.outcome.merged_files += len(group)
        self.outcome.written_files += len(added)

    def _replace(
        self,
        added: Sequence[DataFile],
        removed: Sequence[ListedFile],
        *,
        is_rewrite: bool,
        books: Mapping[str, int],
    ) -> None:
        change = Change(added, removed, is_rewrite, books)
        commits.replace(self.folder, self.snapshot, change)
        self.snapshot = Snapshot.load(self.folder, self.snapshot.table)

    def _vacuum(self) -> None:
        # delta-rs measures from the wall clock, which may be ahead of the time that is trusted.
        ahead_s = max(0.0, time.time() - self._versions_now_s() - STEP_S)
        hours = self.plan.snapshot_retention_hours + math.ceil(ahead_s / 3600)
        deleted = delete_unreferenced(self.folder, self.snapshot, retention_hours=hours)
        self.outcome.deleted_files += deleted
        self.snapshot = Snapshot.load(self.folder, self.snapshot.table)

    def _clean_log(self) -> None:
        hours = self.plan.snapshot_retention_hours
        now_s = self._versions_now_s()
        deleted = clean_log(self.folder, self.snapshot, retention_hours=hours, now_s=now_s)
        self.outcome.deleted_log_entries += deleted

    def _versions_now_s(self) -> float:
        return min(self.now_s, delta_log.newest_commit_s(self.folder) + _COMMIT_AGE_MAX_S)


def merge_groups(
    listed: Sequence[ListedFile], today: str, plan: Plan
) -> Iterator[list[ListedFile]]:
    """The files to be made one, of one partition each, up to `file_bytes_target` together."""
    for day in sorted({file.event_date for file in listed}):
        is_over = day < today
        small_bytes_max = plan.file_bytes_target // (2 if is_over else 8)
        files_min = 2 if is_over else plan.merge_files_min
        small = [
            file for file in listed if file.event_date == day and file.size_bytes < small_bytes_max
        ]
        if len(small) >= files_min:
            yield from _within_target(small, plan.file_bytes_target)


def _within_target(files: Sequence[ListedFile], bytes_max: int) -> Iterator[list[ListedFile]]:
    group: list[ListedFile] = []
    for file in files:
        if sum(one.size_bytes for one in group) + file.size_bytes > bytes_max:
            yield group
            group = []
        group.append(file)
    if len(group) > 1:
        yield group


def delete_unreferenced(folder: Path, snapshot: Snapshot, *, retention_hours: int) -> int:
    """Delete the files that no version of the last hours has; how many."""
    if snapshot.delta is None:
        return 0
    before = len(list(folder.glob(_DATA_FILES)))
    vacuum = partial(
        snapshot.delta.vacuum,
        retention_hours=retention_hours,
        enforce_retention_duration=False,
        full=True,
    )
    if not vacuum(dry_run=True):
        return 0
    with commits.synced(folder, snapshot.table):
        vacuum(dry_run=False)
    return before - len(list(folder.glob(_DATA_FILES)))


def clean_log(folder: Path, snapshot: Snapshot, *, retention_hours: int, now_s: float) -> int:
    """Delete the entries of the log that no version of the last hours needs; how many.

    The oldest version needed gets a checkpoint, which stands for all before it.
    """
    needed = delta_log.newest_at(folder, now_s - retention_hours * 3600)
    oldest = delta_log.oldest(folder)
    if needed is None or oldest is None or oldest >= needed:
        return 0
    if needed not in delta_log.checkpoints(folder):
        commits.checkpoint(folder, snapshot.table, needed)
    return delta_log.delete_before(folder, needed)
