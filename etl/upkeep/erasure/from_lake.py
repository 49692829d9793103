"""Erasing a subject from the newest version of the lake, then deleting all older versions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain

import duckdb

from etl.lake import commits, delta_log, parquet, rewrite
from etl.lake.commits import Change
from etl.lake.duck import count
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import ListedFile, Snapshot
from etl.lake.store import LakeStore
from etl.lake.tables import EVENTS, REJECTED, Table
from etl.upkeep import vacuum
from etl.upkeep.erasure.from_log import Key
from etl.upkeep.erasure.outcome import ErasureOutcome
from etl.upkeep.erasure.searching import with_statistics
from etl.upkeep.erasure.subject import Subject


@dataclass(frozen=True, slots=True)
class LakeErasure:
    """The erasure of a subject from the tables of a lake."""

    lake: LakeStore
    subject: Subject
    outcome: ErasureOutcome

    def keys(self, con: duckdb.DuckDBPyConnection) -> set[Key]:
        """Return the keys of the events to erase; lines of the log with these keys go too."""
        snapshot = self.lake.load(EVENTS)
        return set(
            chain.from_iterable(self._keys_in(con, snapshot, file) for file in snapshot.files)
        )

    def _keys_in(self, con: duckdb.DuckDBPyConnection, events: Snapshot, file: str) -> list[Key]:
        relation = events.relation([file])
        query = f"""SELECT DISTINCT tenant_id, dedupe_key FROM {relation}
            WHERE dedupe_key IS NOT NULL AND {self.subject.condition(con, EVENTS, relation)}"""
        return con.execute(query).fetchall()

    def erase_rows(self, con: duckdb.DuckDBPyConnection, table: Table) -> Snapshot:
        """Rewrite the files of a table without the subject's rows; return its new snapshot."""
        folder = self.lake.table(table).folder
        snapshot = self.lake.load(table)
        for file in snapshot.listed():
            relation = snapshot.relation([str(folder / file.path)])
            condition = self.subject.condition(con, table, relation)
            rows = count(con, f"{relation} WHERE {condition}")
            if rows:
                snapshot = self.lake.load(table)  # another process may have committed meanwhile
                self._rewrite(con, snapshot, file, condition)
                self._count(table, rows)
        return snapshot.after_commit()

    def _rewrite(
        self, con: duckdb.DuckDBPyConnection, snapshot: Snapshot, file: ListedFile, condition: str
    ) -> None:
        kept = rewrite.run(con, snapshot, Rewrite([file], keep=f"NOT {condition}"))
        books = {"erased_rows": file.rows - (kept.rows if kept else 0)}
        change = Change([kept] if kept else [], [file], is_rewrite=False, books=books)
        commits.replace(snapshot, change)
        self.outcome.rewritten_files += 1

    def _count(self, table: Table, rows: int) -> None:
        if table is EVENTS:
            self.outcome.rows += rows
        elif table is REJECTED:
            self.outcome.rejected += rows

    def delete_older_versions(self, table: Table) -> None:
        """Delete the files of older versions, and the Delta log entries that name the subject."""
        store = self.lake.table(table)
        parquet.sweep(store.folder)
        self.outcome.deleted_files += vacuum.delete_files(store, retention_hours=0)
        # The commit that added a file names its smallest and largest tenant.
        naming = list(with_statistics(store.folder, self.subject))
        if naming:
            vacuum.delete_log_entries(store, retention_hours=0, now_s=math.inf)
        for path in naming:
            if path.suffix == delta_log.SET_ASIDE:
                path.unlink()
