"""Maintenance: it keeps the lake small and fast to read; only retention changes numbers.

One run, under the lake's lock, does this for each table:

1. retention: drop the partitions older than `MaintenancePlan.days_kept`;
2. merge: rewrite the small files of a partition into few large sorted ones, in commits that change
   no data (`etl.upkeep.merging`);
3. key files: make those of the events that are missing or damaged (`etl.lake.keys`);
4. vacuum: delete the files that no version of the last `snapshot_retention_hours` uses;
5. log clean-up: write and sync a checkpoint, then delete the entries of `_delta_log` that no
   version of these hours needs, oldest first (`etl.upkeep.vacuum`).

A clock that is ahead must not delete data. So today is at most one day after the newest receipt in
the lake, and the newest partition is never dropped; the age of a version is measured at most until
an hour after the newest commit. `retained_from` never goes back.

After a kill, the next run repeats the interrupted step, and vacuum deletes files that were written
but not committed.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl.lake import commits, delta_log, duck, parquet, rewrite
from etl.lake.commits import Change, DataFile
from etl.lake.errors import LakeError
from etl.lake.keys import upkeep as keys
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import RETAINED_FROM, ListedFile, Snapshot, newest_date
from etl.lake.store import LakeStore, LocalLake
from etl.lake.table_store import TableStore
from etl.lake.tables import EVENTS, REJECTED, TABLES, Table
from etl.layout import Layout
from etl.log import compatibility
from etl.trusted_clock import STEP_S
from etl.upkeep import merging, vacuum

log = logging.getLogger(__name__)

_COMMIT_AGE_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class MaintenancePlan:
    """The retention of data and snapshots, the sizes for merging, and the limits of DuckDB."""

    retention_days: int = 0
    """0 keeps all."""
    rejected_retention_days: int = 0
    """For rejected payloads; 0 keeps them as long as the events."""
    snapshot_retention_hours: int = 24
    file_bytes_target: int = 256 << 20
    merge_files_min: int = 8
    memory_bytes_max: int = 1 << 30
    threads_max: int = 2

    def days_kept(self, table: Table) -> int:
        """Return the number of days of receipt that a table keeps; 0 for all."""
        days = [self.retention_days]
        if table is REJECTED:
            days.append(self.rejected_retention_days)
        return min(filter(None, days), default=0)


@dataclass(slots=True)
class MaintenanceOutcome:
    """The counts of one run over all tables; `version` is that of the events."""

    dropped_partitions: int = 0
    dropped_rows: int = 0
    merged_files: int = 0
    written_files: int = 0
    written_key_files: int = 0
    deleted_files: int = 0
    deleted_log_entries: int = 0
    version: int | None = None
    conflicts: list[str] = field(default_factory=list)


def run(
    data: Path, plan: MaintenancePlan, now_s: float, lake: LakeStore | None = None
) -> MaintenanceOutcome:
    """Maintain every table. `now_s` is Unix time.

    `lake` holds the tables; the lake of the data folder by default. Raises LakeError,
    DataFolderError, SeriesFormatError; OSError.
    """
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    layout.prepare()
    outcome = MaintenanceOutcome()
    lake = lake or LocalLake(layout)
    with lake.locked():
        snapshots = [commits.open_or_create(lake.table(table)) for table in TABLES]
        today = _today(snapshots, now_s)
        for snapshot in snapshots:
            store = lake.table(snapshot.table)
            _TableMaintenance(layout, store, plan, snapshot, outcome, now_s, today).run()
        outcome.version = lake.load(EVENTS).version
    return outcome


def _today(snapshots: Sequence[Snapshot], now_s: float) -> date:
    """Return the date of `now_s`, at most one day after the newest receipt."""
    today = datetime.fromtimestamp(now_s, UTC).date()
    newest = newest_date(snapshots)
    return min(today, newest + timedelta(days=1)) if newest else today


@dataclass(slots=True)
class _TableMaintenance:
    """The run on one table; each commit replaces `snapshot`."""

    layout: Layout
    store: TableStore
    plan: MaintenancePlan
    snapshot: Snapshot
    outcome: MaintenanceOutcome
    now_s: float
    today: date

    @property
    def folder(self) -> Path:
        return self.store.folder

    def run(self) -> None:
        parquet.sweep(self.folder)
        with self._noting_conflict():
            if days_kept := self.plan.days_kept(self.snapshot.table):
                self._drop(self.today - timedelta(days=days_kept))
            for group in list(self._merge_groups()):
                self._merge(group)
        if self.snapshot.table.is_keyed:
            self._make_key_files()
        with self._noting_conflict():
            self._vacuum()
        self._clean_log()

    @contextmanager
    def _noting_conflict(self) -> Iterator[None]:
        """End the body when another process has changed the table; the next run continues."""
        try:
            yield
        except CommitFailedError as error:
            self.outcome.conflicts.append(f"{self.snapshot.table.name}: {error}")
            log.warning(
                "another process changed the table during maintenance",
                extra={"fields": {"why": str(error)}},
            )

    def _drop(self, oldest_kept: date) -> None:
        before = max(str(oldest_kept), self.snapshot.property(RETAINED_FROM) or "")
        old = [file for file in self.snapshot.listed() if file.event_date < before]
        # Committed first: `check` compares log and lake from this day on.
        self.snapshot = commits.set_properties(self.snapshot, {RETAINED_FROM: before})
        if not old:
            return
        rows = sum(file.rows for file in old)
        self._replace([], old, is_rewrite=False, books={"dropped_rows": rows})
        partitions = {file.event_date for file in old}
        self.outcome.dropped_partitions += len(partitions)
        self.outcome.dropped_rows += rows
        fields = {"table": self.snapshot.table.name, "before": before, "rows": rows}
        log.info("dropped old partitions", extra={"fields": fields})

    def _merge_groups(self) -> Iterator[list[ListedFile]]:
        return merging.groups(
            self.snapshot.listed(),
            str(self.today),
            bytes_target=self.plan.file_bytes_target,
            files_min=self.plan.merge_files_min,
        )

    def _merge(self, group: Sequence[ListedFile]) -> None:
        with self._connected("merging") as con:
            written = rewrite.run(con, self.snapshot, Rewrite(group))
        added = [written] if written else []
        books = {"merged_rows": sum(file.rows for file in group)}
        self._replace(added, group, is_rewrite=True, books=books)
        self.outcome.merged_files += len(group)
        self.outcome.written_files += len(added)

    def _make_key_files(self) -> None:
        for path, reason in self.store.without_keys(self.snapshot.files):
            with self._connected("key files of") as con:
                is_made = keys.remake(con, path, self.snapshot.relation([path]), reason)
            if is_made:
                self.store.put_keys(path)
                self.outcome.written_key_files += 1

    @contextmanager
    def _connected(self, doing: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with duck.connect(
            self.layout.spill,
            memory_bytes_max=self.plan.memory_bytes_max,
            threads_max=self.plan.threads_max,
        ) as con:
            try:
                yield con
            except duckdb.Error as error:
                raise LakeError(f"{doing} {self.snapshot.table.name}: {error}") from error

    def _replace(
        self,
        added: Sequence[DataFile],
        removed: Sequence[ListedFile],
        *,
        is_rewrite: bool,
        books: Mapping[str, int],
    ) -> None:
        change = Change(added, removed, is_rewrite, books)
        commits.replace(self.snapshot, change)
        self.snapshot = self.snapshot.after_commit()

    def _vacuum(self) -> None:
        # delta-rs measures ages by the wall clock, which may be ahead of the trusted time.
        ahead_s = max(0.0, time.time() - self._versions_now_s() - STEP_S)
        hours = self.plan.snapshot_retention_hours + math.ceil(ahead_s / 3600)
        deleted = vacuum.delete_files(self.store, retention_hours=hours)
        self.outcome.deleted_files += deleted

    def _clean_log(self) -> None:
        hours = self.plan.snapshot_retention_hours
        now_s = self._versions_now_s()
        self.outcome.deleted_log_entries += vacuum.delete_log_entries(
            self.store, retention_hours=hours, now_s=now_s
        )

    def _versions_now_s(self) -> float:
        return min(self.now_s, delta_log.newest_commit_s(self.folder) + _COMMIT_AGE_MAX_S)
