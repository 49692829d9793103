"""The two kinds of tasks that other processes run: values that can be pickled, and a function each.

A task may be run again, at the same time or later: each run has files of its own, until it links
the files of the lake under names that stand for their rows.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from etl import __version__
from etl.lake import duck, passes, staging
from etl.lake.engines import shuffle
from etl.lake.engines.copies import Copies, FilesAway
from etl.lake.engines.shuffle import Share
from etl.lake.errors import LakeError
from etl.lake.passes import Written
from etl.lake.snapshot import Snapshot
from etl.lake.staging import SegmentUnreadable, Source
from etl.lake.tables import TABLES
from etl.log.segments import Sealed

VERSIONS = f"beaconlog {__version__} with DuckDB {duckdb.__version__}"
_THREADS = 1


@dataclass(frozen=True, slots=True)
class PassFacts:
    """The facts that all tasks of a pass share.

    `folder`: the pass's own, for files between the tasks. `memory_bytes_max`: of one task.
    `versions`: of the driver's programs, which each worker must have too.
    """

    folder: Path
    shards: int
    memory_bytes_max: int
    versions: str = VERSIONS


@dataclass(frozen=True, slots=True)
class TableState:
    """A version of a table as a plain value, with the watermarks that a pass asks for.

    `key` names the files of the task in `folder`. `sizes`: see `Copies`.
    """

    name: str
    folder: Path
    key: str
    version: int | None
    files: tuple[str, ...]
    transactions: Mapping[str, int]
    sizes: Mapping[str, int]

    def snapshot(self) -> Snapshot:
        """Return the version without its Delta table."""
        table = next(table for table in TABLES if table.name == self.name)
        store = Copies(self.folder, table, self.sizes)
        return Snapshot.detached(table, self.version, self.files, self.transactions, store)


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Parse these files, and divide their lines into shards."""

    facts: PassFacts
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class WriteTask:
    """Write the rows of one shard to files of the lake."""

    facts: PassFacts
    shares: tuple[Share, ...]
    tables: tuple[TableState, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A segment that cannot be read, as the result of a task: `staging.SegmentUnreadable`."""

    segment: Sealed
    reason: str


@dataclass(frozen=True, slots=True)
class Away:
    """Files that the driver must fetch first, as the result of a task: `copies.FilesAway`."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenShard:
    """The number of lines in a shard, and by table its durable files and its counts."""

    lines: int
    tables: Mapping[str, Written]


def read(task: ReadTask) -> Mapping[int, Share] | Unreadable:
    """Return the share of each shard. Raises LakeError, duckdb.Error; OSError."""
    with database(task.facts) as con:
        _require_files(task)
        try:
            staging.stage(con, task.sources)
        except SegmentUnreadable as error:
            return Unreadable(error.segment, error.reason)
        return shuffle.write(con, _own_folder(task.facts, "read"), task.facts.shards)


def write(task: WriteTask) -> WrittenShard | Away:
    """Write a shard's files and sync them. Raises LakeError, duckdb.Error; OSError."""
    try:
        return _write(task)
    except FilesAway as error:
        return Away(error.paths)


def _write(task: WriteTask) -> WrittenShard:
    snapshots = [state.snapshot() for state in task.tables]
    with database(task.facts) as con:
        scratch = _own_folder(task.facts, "written")
        scratch.mkdir()
        lines = shuffle.stage(con, task.shares)
        staging.stage_tables(con, snapshots)
        written = {
            state.name: passes.write_rows(con, state.folder, snapshot, state.key, scratch)
            for state, snapshot in zip(task.tables, snapshots, strict=True)
        }
    return WrittenShard(lines, written)


@contextmanager
def database(facts: PassFacts) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database of the task's own; check that this process can do the pass's work."""
    if facts.versions != VERSIONS:
        raise LakeError(
            f"compaction: the worker {socket.gethostname()} has {VERSIONS}, the driver "
            f"{facts.versions}; install the driver's version there"
        )
    if not facts.folder.is_dir():
        raise LakeError(
            f"compaction: the worker {socket.gethostname()} does not see {facts.folder}; every "
            "worker needs the data folder at this path, for example by NFS"
        )
    spill = _own_folder(facts, "spill")
    with duck.connect(spill, memory_bytes_max=facts.memory_bytes_max, threads_max=_THREADS) as con:
        # A process of a pool looks interactive to DuckDB, which would draw its progress on stdout.
        # Elsewhere DuckDB knows; in a notebook without ipywidgets it refuses this setting.
        con.execute("SET enable_progress_bar = false")
        yield con


def _own_folder(facts: PassFacts, name: str) -> Path:
    return facts.folder / f"{name}-{secrets.token_hex(8)}"


def _require_files(task: ReadTask) -> None:
    for source in task.sources:
        if not source.path.exists():
            raise LakeError(
                f"compaction: the worker {socket.gethostname()} does not see {source.path}; it was "
                "deleted meanwhile, or the worker does not share the log with the driver"
            )
