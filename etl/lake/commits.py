"""Writing to a Delta table: each function makes one durable commit.

delta-rs syncs nothing. So each function syncs the files that its commit added to the Delta log
(`etl.lake.delta_log`) before it returns, and no power cut loses a commit but keeps a later one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction

from etl.lake import delta_log
from etl.lake.errors import LakeError, lake_errors
from etl.lake.snapshot import ListedFile, Snapshot
from etl.lake.tables import PARTITION, Table

_CONFIGURATION = {
    "delta.checkpointInterval": "100",
    # delta-rs would delete old entries of the log in any order, and before the checkpoint that
    # replaces them is durable: `delta_log.delete_before` does it instead.
    "delta.enableExpiredLogCleanup": "false",
}
_MAINTENANCE = "beaconlog-maintenance"
_COMPACTION = "beaconlog-compaction"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file to be committed. `stats`: column -> (min, max), as JSON values."""

    path: Path
    event_date: str
    rows: int
    stats: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that replaces files. `is_rewrite`: the rows stay the same. `books`: its counts."""

    added: Sequence[DataFile]
    removed: Sequence[ListedFile]
    is_rewrite: bool
    books: Mapping[str, int]


def open_or_create(folder: Path, table: Table) -> Snapshot:
    """Return the newest snapshot of a table, durable, for a caller that will commit to it.

    The Delta log is repaired first, a missing table is created, and columns that a newer version
    of beaconlog defines are added. Raises LakeError.
    """
    delta_log.repair(folder)
    with lake_errors(table):
        if not DeltaTable.is_deltatable(str(folder)):
            DeltaTable.create(
                folder,
                schema=table.arrow_schema,
                mode="ignore",
                partition_by=[PARTITION],
                name=table.name,
                configuration=_CONFIGURATION,
            )
    delta_log.sync_newest(folder)
    return _with_all_columns(folder, Snapshot.load(folder, table))


def _with_all_columns(folder: Path, snapshot: Snapshot) -> Snapshot:
    """Add the columns that the stored table lacks, and return the snapshot that has them."""
    delta, table = _delta_of(snapshot), snapshot.table
    present = {field.name for field in delta.schema().fields}
    wanted = Schema.from_arrow(table.arrow_schema).fields
    new = [field for field in wanted if field.name not in present]
    if not new:
        return snapshot
    with synced(folder, table):
        delta.alter.add_columns(new)
    return Snapshot.load(folder, table)


def commit(
    folder: Path,
    snapshot: Snapshot,
    files: Sequence[DataFile],
    watermarks: Mapping[str, int],
    books: Mapping[str, int],
) -> int:
    """Add durable `files` and move the watermarks (app id -> number); return the new version.

    Raises CommitFailedError if another compaction, of any series, has committed since the
    snapshot: nothing was changed, and the caller starts over from a fresh snapshot. Raises
    LakeError if it is unknown whether the commit was made: only a fresh snapshot shows it.
    """
    actions: list[AddAction | RemoveAction] = [
        _add_action(folder, file, is_rewrite=False) for file in files
    ]
    # Without a shared app id, two commits of different series would both pass Delta's conflict
    # check, and an event could be stored by both.
    turn = {_COMPACTION: snapshot.watermark(_COMPACTION) + 1}
    return _commit(folder, snapshot, actions, {**watermarks, **turn}, books)


def replace(folder: Path, snapshot: Snapshot, change: Change) -> int:
    """Replace files of the table; return the new version.

    delta-rs lets two commits remove the same file. So each call moves the version of one shared
    app id: of two calls from one snapshot, the second raises CommitFailedError.
    """
    now_ms = int(time.time() * 1000)
    added = [_add_action(folder, file, is_rewrite=change.is_rewrite) for file in change.added]
    removed = [
        RemoveAction(
            file.path,
            not change.is_rewrite,
            now_ms,
            size=file.size_bytes,
            partition_values={PARTITION: file.event_date},
        )
        for file in change.removed
    ]
    turn = {_MAINTENANCE: snapshot.watermark(_MAINTENANCE) + 1}
    return _commit(folder, snapshot, [*added, *removed], turn, change.books)


def _commit(
    folder: Path,
    snapshot: Snapshot,
    actions: Sequence[AddAction | RemoveAction],
    transactions: Mapping[str, int],
    books: Mapping[str, int],
) -> int:
    delta = _delta_of(snapshot)
    metadata = delta_log.metadata(
        books,
        files=sum(isinstance(action, AddAction) for action in actions),
        removed=sum(isinstance(action, RemoveAction) for action in actions),
        series=len(transactions),
    )
    with synced(folder, snapshot.table):
        delta.create_write_transaction(
            list(actions),
            mode="append",
            schema=snapshot.table.arrow_schema,
            partition_by=[PARTITION],
            commit_properties=CommitProperties(
                app_transactions=[Transaction(name, last) for name, last in transactions.items()],
                custom_metadata=metadata,
            ),
        )
        delta.update_incremental()
    return delta.version()


def _delta_of(snapshot: Snapshot) -> DeltaTable:
    """Return the Delta table of a snapshot. Raises LakeError if it was never created."""
    if snapshot.delta is None:
        raise LakeError(f"table {snapshot.table.name} was never created")
    return snapshot.delta


def set_properties(folder: Path, snapshot: Snapshot, properties: Mapping[str, str]) -> Snapshot:
    """Set properties of the table, unless it has them, and return the snapshot that has them."""
    if all(snapshot.property(name) == value for name, value in properties.items()):
        return snapshot
    with synced(folder, snapshot.table):
        _delta_of(snapshot).alter.set_table_properties(dict(properties), raise_if_not_exists=False)
    return Snapshot.load(folder, snapshot.table)


def checkpoint(folder: Path, table: Table, version: int) -> None:
    """Make a checkpoint of a version, which then needs no earlier entry of the Delta log."""
    with synced(folder, table):
        DeltaTable(folder, version=version).create_checkpoint()


@contextmanager
def synced(folder: Path, table: Table) -> Iterator[None]:
    """Sync the files that the body adds to the Delta log; raise delta-rs' errors as LakeError."""
    before = frozenset(os.listdir(folder / delta_log.FOLDER))
    with lake_errors(table):
        yield
    delta_log.sync(folder, before)


def _add_action(folder: Path, file: DataFile, *, is_rewrite: bool) -> AddAction:
    stats = {
        "numRecords": file.rows,
        "minValues": {column: low for column, (low, _) in file.stats.items()},
        "maxValues": {column: high for column, (_, high) in file.stats.items()},
        "nullCount": dict.fromkeys(file.stats, 0),
    }
    return AddAction(
        path=str(file.path.relative_to(folder)),
        size=file.path.stat().st_size,
        partition_values={PARTITION: file.event_date},
        modification_time=int(time.time() * 1000),
        data_change=not is_rewrite,
        stats=json.dumps(stats),
    )
