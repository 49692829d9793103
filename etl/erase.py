"""Erasing a tenant or a visitor: from the lake, the rejected records, the log and old snapshots.

One run, under the compaction lock:

1. wait until what was being written is sealed, and compact it;
2. rewrite the lake's files without the rows, and commit;
3. delete the segments that the lake holds. The newest of a series stays, as numbering goes on from
   it: its lines in question are replaced by ones of kind `erased`, in a fresh chain;
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
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl import (
    compact,
    duck,
    durable,
    lake,
    lake_log,
    maintain,
    parquet,
    recovery,
    rewrite,
    segments,
)
from etl.lake import Change, LakeError, ListedFile, Snapshot, quoted
from etl.layout import Layout
from etl.rewrite import Rewrite
from etl.segments import Line, Sealed
from etl.staging import ERASED_KIND
from etl.tables import DUPLICATES, EVENTS, REJECTED, TABLES, Table

log = logging.getLogger(__name__)

_POLL_S = 0.05
_SEARCHED_BYTES = 8 << 20
_OVERLAP_BYTES = 1024


class EraseRefused(Exception):
    """Nothing was erased, or not all of it: the message says why, and what to do."""


@dataclass(frozen=True)
class Subject:
    """Whom to forget: a tenant, with its other names in payloads, or a visitor id."""

    tenant_id: int | None = None
    tenant_names: tuple[str, ...] = ()
    visitor_id: str | None = None

    def condition(self, table: Table) -> str:
        """SQL that is true of the rows to erase, and false of all others."""
        if table is EVENTS:
            column = "tenant_id" if self.visitor_id is None else "visitor_id"
            value = str(self.tenant_id) if self.visitor_id is None else quoted(self.visitor_id)
            return f"coalesce({column} = {value}, false)"
        if self.visitor_id is not None:
            return "false"  # neither is kept with who sent it
        if table is DUPLICATES:
            return f"tenant_id = {self.tenant_id}"
        return f"coalesce(regexp_matches(body, {quoted(self._tenant_pattern)}), false)"

    def is_in(self, data: bytes) -> bool:
        """Whether log lines or other text name the subject."""
        return self._searched.search(data) is not None

    @cached_property
    def _searched(self) -> re.Pattern[bytes]:
        visitor = self.visitor_id
        pattern = self._tenant_pattern if visitor is None else f'"visitor_id":"{visitor}"'
        return re.compile(pattern.encode())

    @property
    def _tenant_pattern(self) -> str:
        """Finds a tenant in JSON, and in JSON that is a string in JSON; for RE2 and `re`."""
        quote = r'\\*"'
        named = [rf"{quote}{re.escape(name)}{quote}" for name in self.tenant_names]
        return "|".join([rf'"tenant_id{quote}\s*:\s*(?:{quote})?{self.tenant_id}\b', *named])


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
    data: Path, subject: Subject, plan: compact.Plan, now_s: float, *, seal_timeout_s: float = 60.0
) -> Outcome:
    """Erase. Raises EraseRefused, LakeError, CompactionConflict; OSError."""
    layout = Layout(data.absolute())
    layout.prepare()
    with durable.locked(layout.lake_lock):
        _await_sealed(layout, seal_timeout_s)
        compacted = compact.run_locked(layout, plan, now_s)
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
    plan: compact.Plan
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
            self._delete_broken(folder)
        for snapshot in snapshots:
            self._delete_older_versions(snapshot)

    def _keys(self, con: duckdb.DuckDBPyConnection) -> set[tuple[int, str]]:
        """The duplicates' keys of the rows to erase: their copies in the log go with them."""
        snapshot = lake.load(self.layout.table(EVENTS.name), EVENTS)
        query = f"""SELECT DISTINCT tenant_id, dedupe_key FROM {snapshot.relation()}
            WHERE dedupe_key IS NOT NULL AND {self.subject.condition(EVENTS)}"""
        return set(con.execute(query).fetchall())

    def _erase_rows(self, con: duckdb.DuckDBPyConnection, table: Table) -> Snapshot:
        folder = self.layout.table(table.name)
        snapshot = lake.load(folder, table)
        condition = self.subject.condition(table)
        for file in snapshot.listed():
            rows = _matching(con, snapshot, folder / file.path, condition)
            if rows:
                self._rewrite(con, snapshot, file, condition)
                snapshot = lake.load(folder, table)
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
        lake.replace(folder, snapshot, change)
        self.outcome.rewritten_files += 1

    def _count(self, table: Table, rows: int) -> None:
        if table is EVENTS:
            self.outcome.rows += rows
        elif table is REJECTED:
            self.outcome.rejected += rows

    def _erase_segments(self, folder: Path, mark: int, keys: set[tuple[int, str]]) -> None:
        held = [item for item in segments.sealed_in(folder) if item.number <= mark]
        newest = max((item.number for item in segments.sealed_in(folder)), default=0)
        for item in held:
            if item.number == newest:
                self._redact(item, keys)
            else:
                item.path.unlink()
                self.outcome.deleted_segments += 1
        if held:
            durable.fsync_path(folder)

    def _redact(self, segment: Sealed, keys: set[tuple[int, str]]) -> None:
        seed = segments.chain_seed(segment.series, segment.number)
        lines = [
            line
            for line in segments.scan(segment.path.read_bytes(), seed)
            if isinstance(line, Line)
        ]
        payloads = [self._redacted(line.payload, keys) for line in lines]
        erased = sum(new != line.payload for new, line in zip(payloads, lines, strict=True))
        if not erased:
            return
        chain, parts = seed, []
        for line, payload in zip(lines, payloads, strict=True):
            part, chain = segments.encode_line(payload, chain, line.batch, line.seq)
            parts.append(part)
        content = b"".join(parts)
        name = segments.sealed_name(segment.number, len(lines), zlib.crc32(content))
        durable.write_file(segment.path.with_name(name), content)
        segment.path.unlink()
        self.outcome.erased_lines += erased

    def _redacted(self, payload: bytes, keys: set[tuple[int, str]]) -> bytes:
        record = json.loads(payload)
        key = (record.get("tenant_id"), record.get("dedupe_key"))
        if record.get("kind") == ERASED_KIND or (key not in keys and not self._is_of(record)):
            return payload
        left = {"kind": ERASED_KIND, "received_at": record.get("received_at")}
        return json.dumps(left, separators=(",", ":")).encode()

    def _is_of(self, record: dict[str, object]) -> bool:
        if record.get("kind") != EVENTS.kind:
            return self.subject.is_in(json.dumps(record, separators=(",", ":")).encode())
        if self.subject.visitor_id is not None:
            return record.get("visitor_id") == self.subject.visitor_id
        return record.get("tenant_id") == self.subject.tenant_id

    def _delete_older_versions(self, snapshot: Snapshot) -> None:
        folder = self.layout.table(snapshot.table.name)
        parquet.sweep(folder)
        deleted = maintain.delete_unreferenced(folder, snapshot, retention_hours=0)
        self.outcome.deleted_files += deleted
        # A file's smallest and largest tenant stand in the commit that added it.
        if any(_holds(path, self.subject) for path in (folder / lake_log.FOLDER).glob("*.json")):
            newest = lake.load(folder, snapshot.table)
            maintain.clean_log(folder, newest, retention_hours=0, now_s=math.inf)

    def _delete_broken(self, folder: Path) -> None:
        named = [path for path in folder.glob("*.broken*") if _holds(path, self.subject)]
        for path in named:
            path.unlink()
        if named:
            durable.fsync_path(folder)
        self.outcome.deleted_files += len(named)


# -- searching --------------------------------------------------------------------------------


def search(layout: Layout, subject: Subject) -> list[Path]:
    """Every file of log and lake that holds the subject, of whichever version, referenced or not.

    Parquet is compressed: its rows are read. All other files are searched as bytes.
    """
    found = [
        path for path in sorted(layout.log.rglob("*")) if path.is_file() and _holds(path, subject)
    ]
    with duckdb.connect() as con:
        for table in TABLES:
            folder = layout.table(table.name)
            found += _rows_in_files(con, folder, table, subject)
            found += [
                path
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.suffix != ".parquet" and _holds(path, subject)
            ]
    return found


def _rows_in_files(
    con: duckdb.DuckDBPyConnection, folder: Path, table: Table, subject: Subject
) -> Iterator[Path]:
    snapshot = Snapshot(table, None, (), None)
    for path in sorted(folder.glob("*/*.parquet")):
        if path.parent.name != "_delta_log" and _matching(
            con, snapshot, path, subject.condition(table)
        ):
            yield path


def _matching(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, path: Path, condition: str
) -> int:
    query = f"SELECT count(*) FROM {snapshot.relation([str(path)])} WHERE {condition}"
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


def _holds(path: Path, subject: Subject) -> bool:
    """Whether a file's bytes name the subject; read piece by piece, the pieces overlapping."""
    try:
        with path.open("rb") as file:
            return any(subject.is_in(piece) for piece in _pieces(file.read))
    except FileNotFoundError:
        return False  # sealed or deleted while we looked; its successor is seen by the next run


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    tail = b""
    while piece := read(_SEARCHED_BYTES):
        yield tail + piece
        tail = piece[-_OVERLAP_BYTES:]
