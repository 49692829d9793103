"""Erasing a tenant or a visitor: from the lake, the rejected records, the log and old snapshots.

One run, under the compaction lock:

1. wait until what was being written is sealed, and compact it;
2. rewrite the lake's files without the rows, and commit;
3. delete the segments that the lake holds whole, but for the newest of each series. Of that, and of
   what the lake holds in part or not at all, the lines in question are replaced by ones of kind
   `erased`, in a fresh chain;
4. delete set-aside bytes that name the subject, every file of older snapshots, and their entries
   in `_delta_log`;
5. search all of it again: `Outcome.remaining` names the files that still hold the subject, such as
   segments with events received meanwhile.

A kill at any point leaves a state that every reader takes, and that running it again completes.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl import durable
from etl.lake import commits, compaction, delta_log, duck, parquet, rewrite
from etl.lake.commits import Change
from etl.lake.duck import count
from etl.lake.errors import LakeError
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import ListedFile, Snapshot
from etl.lake.tables import EVENTS, PARTITION, REJECTED, TABLES, Table
from etl.layout import Layout
from etl.log import compatibility, recovery, rewriting, segments, verification
from etl.log.format import ERASED_KIND, Line
from etl.log.segments import Sealed
from etl.upkeep import maintenance
from etl.upkeep.erasure.subject import Subject

log = logging.getLogger(__name__)

_POLL_S = 0.05


class EraseRefused(Exception):
    """Nothing was erased, or not all of it: the message says why, and what to do."""


@dataclass(slots=True)
class Outcome:
    """What was erased, and what still holds the subject."""

    rows: int = 0
    rejected: int = 0
    rewritten_files: int = 0
    deleted_segments: int = 0
    erased_lines: int = 0
    deleted_files: int = 0
    remaining: list[str] = field(default_factory=list)


def run(
    data: Path,
    subject: Subject,
    plan: compaction.CompactionPlan,
    now_s: float,
    *,
    seal_timeout_s: float = 60.0,
) -> Outcome:
    """Erase. Raises EraseRefused and what `compact.run` raises."""
    layout = Layout(data.absolute())
    compatibility.refuse_newer(layout)
    layout.prepare()
    with durable.locked(layout.lake_lock):
        _await_sealed(layout, seal_timeout_s)
        compacted = compaction.run_with_lock(layout, plan, now_s)
        if compacted.stopped:
            first = compacted.stopped[0]
            where = f"{first.series}/{first.segment}"
            raise EraseRefused(f"segment {where} cannot be compacted: {first.reason}; see `check`")
        outcome = Outcome()
        try:
            _Erasure(layout, subject, plan, outcome).run()
        except CommitFailedError as error:
            raise EraseRefused(
                f"another process changed the lake, run it again: {error}"
            ) from error
        except duckdb.Error as error:
            raise LakeError(f"erasing: {error}") from error
        outcome.remaining = [str(path) for path in search(layout, subject)]
    return outcome


def _await_sealed(layout: Layout, timeout_s: float) -> None:
    """Until every segment that is open now is sealed, by its writer or because that is dead."""
    deadline_s = time.monotonic() + timeout_s
    waiting = set(_open_segments(layout))
    while waiting:
        recovery.recover_orphans(layout.log, layout.log_lock)
        waiting = {path for path in waiting if path.exists()}
        if waiting and time.monotonic() > deadline_s:
            raise EraseRefused(f"{min(waiting)} is still being written after {timeout_s:g} s")
        time.sleep(_POLL_S if waiting else 0)


def _open_segments(layout: Layout) -> Iterator[Path]:
    for folder in segments.series_folders(layout.log):
        for _, path in segments.open_in(folder):
            yield path


@dataclass(slots=True)
class _Erasure:
    layout: Layout
    subject: Subject
    plan: compaction.CompactionPlan
    outcome: Outcome

    def run(self) -> None:
        with duck.connect(
            self.layout.spill,
            memory_bytes_max=self.plan.memory_bytes_max,
            threads_max=self.plan.threads_max,
        ) as con:
            keys = self._keys(con)
            snapshots = [self._erase_rows(con, table) for table in TABLES]
        for folder in segments.series_folders(self.layout.log):
            mark = min(snapshot.watermark(folder.name) for snapshot in snapshots)
            self._erase_segments(folder, mark, keys)
            self._erase_broken(folder)
        for snapshot in snapshots:
            self._delete_older_versions(snapshot)

    def _keys(self, con: duckdb.DuckDBPyConnection) -> set[tuple[int, str]]:
        """The duplicates' keys of the rows to erase: their copies in the log go with them."""
        snapshot = Snapshot.load(self.layout.table(EVENTS.name), EVENTS)
        relation = snapshot.relation()
        query = f"""SELECT DISTINCT tenant_id, dedupe_key FROM {relation}
            WHERE dedupe_key IS NOT NULL AND {self.subject.condition(con, EVENTS, relation)}"""
        return set(con.execute(query).fetchall())

    def _erase_rows(self, con: duckdb.DuckDBPyConnection, table: Table) -> Snapshot:
        folder = self.layout.table(table.name)
        snapshot = Snapshot.load(folder, table)
        for file in snapshot.listed():
            relation = snapshot.relation([str(folder / file.path)])
            condition = self.subject.condition(con, table, relation)
            rows = count(con, f"{relation} WHERE {condition}")
            if rows:
                self._rewrite(con, snapshot, file, condition)
                snapshot = Snapshot.load(folder, table)
                self._count(table, rows)
        return snapshot

    def _rewrite(
        self, con: duckdb.DuckDBPyConnection, snapshot: Snapshot, file: ListedFile, condition: str
    ) -> None:
        folder = self.layout.table(snapshot.table.name)
        kept = rewrite.run(con, folder, snapshot, Rewrite([file], keep=f"NOT {condition}"))
        added = [kept] if kept else []
        erased = file.rows - sum(one.rows for one in added)
        change = Change(added, [file], is_rewrite=False, books={"erased_rows": erased})
        commits.replace(folder, snapshot, change)
        self.outcome.rewritten_files += 1

    def _count(self, table: Table, rows: int) -> None:
        if table is EVENTS:
            self.outcome.rows += rows
        elif table is REJECTED:
            self.outcome.rejected += rows

    def _erase_segments(self, folder: Path, mark: int, keys: set[tuple[int, str]]) -> None:
        sealed = segments.sealed_in(folder)
        for item in sealed:
            if item is sealed[-1] or item.number > mark:
                self._redact(item, keys)
            else:
                item.path.unlink()
                self.outcome.deleted_segments += 1
        if sealed:
            durable.fsync_path(folder)

    def _redact(self, segment: Sealed, keys: set[tuple[int, str]]) -> None:
        lines = [line for line in verification.scan(segment) if isinstance(line, Line)]
        before = rewriting.entries(lines)
        after = [entry._replace(payload=self._redacted(entry.payload, keys)) for entry in before]
        erased = sum(new != old for new, old in zip(after, before, strict=True))
        if not erased:
            return
        rewriting.write_sealed(segment.path.parent, segment.number, after)
        segment.path.unlink()
        self.outcome.erased_lines += erased

    def _redacted(self, payload: bytes, keys: set[tuple[int, str]]) -> bytes:
        record = json.loads(payload)
        key = (record.get("tenant_id"), record.get("dedupe_key"))
        if record.get("kind") == ERASED_KIND or (
            key not in keys and not self.subject.has_record(record)
        ):
            return payload
        return rewriting.erased(record.get("received_at"))

    def _delete_older_versions(self, snapshot: Snapshot) -> None:
        folder = self.layout.table(snapshot.table.name)
        parquet.sweep(folder)
        deleted = maintenance.delete_unreferenced(folder, snapshot, retention_hours=0)
        self.outcome.deleted_files += deleted
        # A file's smallest and largest tenant stand in the commit that added it.
        named = list(_in_log_of(folder, self.subject))
        if named:
            newest = Snapshot.load(folder, snapshot.table)
            maintenance.clean_log(folder, newest, retention_hours=0, now_s=math.inf)
        for path in named:
            if path.suffix == delta_log.SET_ASIDE:
                path.unlink()

    def _erase_broken(self, folder: Path) -> None:
        """Of bytes set aside, the subject's lines go, and the file when nothing is left."""
        for path in folder.glob("*.broken*"):
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not self.subject.has_line(line)]
            if len(kept) == len(lines):
                continue
            self.outcome.erased_lines += len(lines) - len(kept)
            if kept:
                durable.write_file(path, b"".join(kept))
            else:
                path.unlink()
                self.outcome.deleted_files += 1
        durable.fsync_path(folder)


# -- searching --------------------------------------------------------------------------------


def search(layout: Layout, subject: Subject) -> list[Path]:
    """Return every file of log and lake that holds the subject, referenced or not."""
    found = [path for path in _files(layout.log) if _has_line(path, subject)]
    with duckdb.connect() as con:
        for table in TABLES:
            folder = layout.table(table.name)
            found += _rows_in_files(con, folder, table, subject)
            found += _in_log_of(folder, subject)
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _has_line(path: Path, subject: Subject) -> bool:
    try:
        with path.open("rb") as file:
            return any(map(subject.has_line, file))
    except FileNotFoundError:
        return False  # sealed or deleted while we looked; its successor is seen by the next run


def _rows_in_files(
    con: duckdb.DuckDBPyConnection, folder: Path, table: Table, subject: Subject
) -> Iterator[Path]:
    snapshot = Snapshot(table, None, (), None)
    for path in sorted(folder.glob(f"{PARTITION}=*/*.parquet")):
        relation = snapshot.relation([str(path)])
        if count(con, f"{relation} WHERE {subject.condition(con, table, relation)}"):
            yield path


def _in_log_of(folder: Path, subject: Subject) -> Iterator[Path]:
    """The entries and checkpoints of a table's log that name the subject."""
    for path in _files(folder / delta_log.FOLDER):
        if path.suffix == ".parquet":
            texts = delta_log.statistics_in(path)
        else:
            texts = path.read_text(errors="replace").splitlines()
        if any(map(subject.in_statistics, texts)):
            yield path
