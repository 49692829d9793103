"""Writing to a Delta table: each function makes one durable commit, through the table's store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import CommitProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from etl.lake import delta_log
from etl.lake.errors import LakeTaken
from etl.lake.snapshot import ListedFile, Snapshot
from etl.lake.table_store import TableStore, name_of
from etl.lake.tables import PARTITION

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


def open_or_create(store: TableStore) -> Snapshot:
    """Return the newest snapshot of a table, durable, for a caller that will commit to it.

    The Delta log is repaired first, a missing table is created, and columns that a newer version
    of beaconlog defines are added. Raises LakeError; LakeTaken if another process changes it too.
    """
    store.prepare()
    snapshot = Snapshot.of(store)
    delta, _ = snapshot.opened()
    present = {field.name for field in delta.schema().fields}
    wanted = Schema.from_arrow(store.table.arrow_schema).fields
    new = [field for field in wanted if field.name not in present]
    if not new:
        return snapshot
    try:
        with store.committing(delta) as committed:
            committed.alter.add_columns(new)
    except CommitFailedError as error:
        raise LakeTaken(f"table {store.table.name} is changed by another process") from error
    return Snapshot.of(store)


def commit(
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
    # Without a shared app id, two commits of different series would both pass Delta's conflict
    # check, and an event could be stored by both.
    turn = {_COMPACTION: snapshot.watermark(_COMPACTION) + 1}
    change = Change(files, [], is_rewrite=False, books=books)
    return _commit(snapshot, change, {**watermarks, **turn})


def replace(snapshot: Snapshot, change: Change) -> int:
    """Replace files of the table; return the new version.

    delta-rs lets two commits remove the same file, and a commit remove a file that is gone. So each
    call moves the version of one shared app id: of two calls from one snapshot, the second raises
    CommitFailedError. It is also raised if another process replaced the files before.
    """
    gone = {file.path for file in change.removed} - {file.path for file in snapshot.listed()}
    if gone:
        raise CommitFailedError(
            f"another process has replaced {min(gone)} of {snapshot.table.name}"
        )
    turn = {_MAINTENANCE: snapshot.watermark(_MAINTENANCE) + 1}
    return _commit(snapshot, change, turn)


def fence(snapshot: Snapshot) -> int:
    """Make a commit of nothing, after which none from an earlier version succeeds."""
    numbers = {name: snapshot.watermark(name) + 1 for name in (_COMPACTION, _MAINTENANCE)}
    return _commit(snapshot, Change([], [], is_rewrite=False, books={}), numbers)


def _commit(snapshot: Snapshot, change: Change, transactions: Mapping[str, int]) -> int:
    delta, store = snapshot.opened()
    metadata = delta_log.metadata(
        change.books,
        files=len(change.added),
        removed=len(change.removed),
        series=len(transactions),
    )
    with store.committing(delta, [file.path for file in change.added]) as committed:
        committed.create_write_transaction(
            _actions(change),
            mode="append",
            schema=snapshot.table.arrow_schema,
            partition_by=[PARTITION],
            commit_properties=CommitProperties(
                app_transactions=[Transaction(name, last) for name, last in transactions.items()],
                custom_metadata=metadata,
            ),
        )
    return delta.version()


def set_properties(snapshot: Snapshot, properties: Mapping[str, str]) -> Snapshot:
    """Set properties of the table, unless it has them, and return the snapshot that has them."""
    if all(snapshot.property(name) == value for name, value in properties.items()):
        return snapshot
    delta, store = snapshot.opened()
    with store.committing(delta) as committed:
        committed.alter.set_table_properties(dict(properties), raise_if_not_exists=False)
    return Snapshot.of(store)


def _actions(change: Change) -> list[AddAction | RemoveAction]:
    now_ms = int(time.time() * 1000)
    added = [_add_action(file, now_ms, is_rewrite=change.is_rewrite) for file in change.added]
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
    return [*added, *removed]


def _add_action(file: DataFile, now_ms: int, *, is_rewrite: bool) -> AddAction:
    stats = {
        "numRecords": file.rows,
        "minValues": {column: low for column, (low, _) in file.stats.items()},
        "maxValues": {column: high for column, (_, high) in file.stats.items()},
        "nullCount": dict.fromkeys(file.stats, 0),
    }
    return AddAction(
        path=name_of(str(file.path)),
        size=file.path.stat().st_size,
        partition_values={PARTITION: file.event_date},
        modification_time=now_ms,
        data_change=not is_rewrite,
        stats=json.dumps(stats),
    )
