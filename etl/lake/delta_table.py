"""The lake: one Delta table per kind of line, through delta-rs, which syncs nothing by itself.

A *snapshot* is one version of a table: its data files and, for every series, two *watermarks*, kept
as Delta transactions: the `_n` of the last line that the table holds (app id `lines:<series>`), and
the number of the last segment that it holds whole (app id `<series>`). A table holds a line that
lies at or below either. Files and watermarks move together in one commit, so at any version a line
is either in the table or not. Versions before 0.1 wrote the second alone, and whole segments.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from etl.lake import delta_log
from etl.lake.tables import PARTITION, Table

_CONFIGURATION = {
    "delta.checkpointInterval": "100",
    # delta-rs would delete old entries of the log in any order, and before the checkpoint that
    # stands for them is durable: `lake_log.delete_before` does it.
    "delta.enableExpiredLogCleanup": "false",
}
_MAINTENANCE = "beaconlog-maintenance"
_COMPACTION = "beaconlog-compaction"
SIGNED = "beaconlog-signed"
"""The app id that has a version from the first commit on that added a signed sale."""
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class LakeError(Exception):
    """The lake cannot be read or written; the message says which table and why."""


class VersionNotFound(LakeError):
    """The table has no such version, or no longer the files of it."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file to be committed. `stats`: column -> (min, max), as JSON values."""

    path: Path
    event_date: str
    rows: int
    stats: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a snapshot as its commit says; `path` is relative to the table's folder."""

    path: str
    event_date: str
    size_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that replaces files. `is_rewrite`: the rows stay the same."""

    added: Sequence[DataFile]
    removed: Sequence[ListedFile]
    is_rewrite: bool
    books: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of one table; `version` is None where the table does not exist yet."""

    table: Table
    version: int | None
    files: tuple[str, ...]
    delta: DeltaTable | None

    def watermark(self, series: str) -> int:
        """The last segment of `series` that the table holds whole; 0 for none.

        delta-rs reads it from the log now: raises LakeError where an entry of this version was
        taken away meanwhile. Whoever holds no lock loads the table again.
        """
        return self._transaction(series)

    def lines(self, series: str) -> int:
        """The `_n` of the last line of `series` that the table holds, as `watermark`.

        0 also where the table was last written by a version that knew whole segments alone.
        """
        return self._transaction(lines_of(series))

    def _transaction(self, app_id: str) -> int:
        if self.delta is None:
            return 0
        with _lake_errors(self.table):
            return self.delta.transaction_version(app_id) or 0

    def listed(self) -> list[ListedFile]:
        """Every file, with what its commit says of it, ordered by path."""
        if self.delta is None:
            return []
        found = self.delta.get_add_actions(flatten=True)
        names = ("path", f"partition.{PARTITION}", "size_bytes", "num_records")
        columns = [found[name].to_pylist() for name in names]
        rows = zip(*columns, strict=True)
        return sorted(
            (ListedFile(path, str(date), size, count) for path, date, size, count in rows),
            key=lambda file: file.path,
        )

    def property(self, name: str) -> str | None:
        """A property of the table, None where it is not set."""
        found = self.delta.metadata().configuration.get(name) if self.delta else None
        return None if found is None else str(found)

    def files_since(self, event_date: str) -> list[str]:
        """The files of partitions from `event_date` on."""
        marker = f"{PARTITION}="
        return [
            file
            for file in self.files
            if file.rpartition(marker)[2].partition("/")[0] >= event_date
        ]

    def relation(self, files: Sequence[str] | None = None) -> str:
        """SQL text that reads the table (or some of its files) with the table's columns."""
        chosen = self.files if files is None else files
        if not chosen:
            nulls = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in self._columns())
            return f"(SELECT {nulls} LIMIT 0)"
        by_missing: dict[frozenset[str], list[str]] = {}
        for file in chosen:
            by_missing.setdefault(self.table.missing_in(file), []).append(file)
        parts = [self._read(files, missing) for missing, files in by_missing.items()]
        return f"({' UNION ALL '.join(parts)})"

    def _read(self, files: Sequence[str], missing: Collection[str]) -> str:
        """SQL text that reads files which all lack the same columns.

        DuckDB's `union_by_name` would find those out by itself, by opening every file.
        """
        columns = ", ".join(
            f"NULL::{type_} AS {name}" if name in missing else name
            for name, type_ in self._columns()
        )
        listed = ", ".join(quoted(file) for file in files)
        return (
            f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = true, "
            f"hive_types = {{'{PARTITION}': DATE}})"
        )

    def _columns(self) -> Iterable[tuple[str, str]]:
        return self.table.columns.items()


def newest_date(snapshots: Iterable[Snapshot]) -> date | None:
    """Return the newest day of receipt that any of the snapshots holds."""
    days = {file.event_date for snapshot in snapshots for file in snapshot.listed()}
    return date.fromisoformat(max(days)) if days else None


def lines_of(series: str) -> str:
    """The app id of the watermark that counts a series' lines."""
    return f"lines:{series}"


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def load(folder: Path, table: Table, version: int | None = None) -> Snapshot:
    """The table at its newest version, or at `version`. Raises LakeError, VersionNotFound."""
    try:
        delta = DeltaTable(folder)
        if version is not None:
            # Asked for a version far ahead, delta-rs would look for every one up to it.
            if not 0 <= version <= delta.version():
                raise VersionNotFound(f"{table.name} has no version {version}")
            delta = DeltaTable(folder, version=version)
    except TableNotFoundError:
        if version is not None:
            raise VersionNotFound(f"{table.name} has no version {version}") from None
        return Snapshot(table, None, (), None)
    except (DeltaError, OSError) as error:
        if version is not None:
            raise VersionNotFound(f"{table.name} has no version {version}") from error
        raise LakeError(f"table {table.name} at {folder}: {_one_line(error)}") from error
    with _lake_errors(table):
        # The path of a URL: a space in the data folder's name comes as %20.
        files = sorted(unquote(uri) for uri in delta.file_uris())
    if version is not None and not all(Path(file).exists() for file in files):
        raise VersionNotFound(f"{table.name} has no longer the files of version {version}")
    return Snapshot(table, delta.version(), tuple(files), delta)


def open_or_create(folder: Path, table: Table) -> Snapshot:
    """The newest snapshot of a table that is repaired first, made if it is missing, and given the
    columns that it gained since it was made.

    It is durable: what is built on it will not stand alone after a power cut. Raises LakeError.
    """
    delta_log.repair(folder)
    with _lake_errors(table):
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
    return _with_all_columns(folder, load(folder, table))


def _with_all_columns(folder: Path, snapshot: Snapshot) -> Snapshot:
    """The snapshot with the columns that its table gained, in one durable commit if any is new."""
    delta, table = _delta_of(snapshot), snapshot.table
    known = {field.name for field in delta.schema().fields}
    wanted = Schema.from_arrow(table.arrow_schema).fields
    new = [field for field in wanted if field.name not in known]
    if not new:
        return snapshot
    with synced(folder, table):
        delta.alter.add_columns(new)
    return load(folder, table)


def commit(
    folder: Path,
    snapshot: Snapshot,
    files: Sequence[DataFile],
    watermarks: Mapping[str, int],
    books: Mapping[str, int],
) -> int:
    """Add `files` and move the watermarks, by app id, in one durable commit; the new version.

    The files are durable already. Raises CommitFailedError when there was another compaction
    since the snapshot, of whichever series: nothing was changed, and the caller starts over from a
    fresh snapshot. Raises LakeError when the outcome is unknown: only a fresh snapshot tells.
    """
    actions: list[AddAction | RemoveAction] = [
        _add_action(folder, file, is_rewrite=False) for file in files
    ]
    # Two of different series would pass the conflict check, and a duplicate across them both.
    turn = {_COMPACTION: snapshot.watermark(_COMPACTION) + 1}
    return _commit(folder, snapshot, actions, {**watermarks, **turn}, books)


def replace(folder: Path, snapshot: Snapshot, change: Change) -> int:
    """Replace files of the table in one durable commit; returns the new version.

    delta-rs lets two commits remove the same file. So each of ours moves the version of one
    application's transaction, and of two from one snapshot the second raises CommitFailedError.
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
    """The table behind a snapshot. Raises LakeError where it was never made."""
    if snapshot.delta is None:
        raise LakeError(f"table {snapshot.table.name} was never made")
    return snapshot.delta


def set_properties(folder: Path, snapshot: Snapshot, properties: Mapping[str, str]) -> Snapshot:
    """The snapshot with these properties set, in one durable commit where any is not yet so."""
    if all(snapshot.property(name) == value for name, value in properties.items()):
        return snapshot
    with synced(folder, snapshot.table):
        _delta_of(snapshot).alter.set_table_properties(dict(properties), raise_if_not_exists=False)
    return load(folder, snapshot.table)


def checkpoint(folder: Path, table: Table, version: int) -> None:
    """Make a durable checkpoint of a version, which then needs no commit before it."""
    with synced(folder, table):
        DeltaTable(folder, version=version).create_checkpoint()


@contextmanager
def synced(folder: Path, table: Table) -> Iterator[None]:
    """Make durable what is written to the table's log meanwhile; delta-rs' errors are ours."""
    known = frozenset(os.listdir(folder / delta_log.FOLDER))
    with _lake_errors(table):
        yield
    delta_log.sync(folder, known)


@contextmanager
def _lake_errors(table: Table) -> Iterator[None]:
    try:
        yield
    except CommitFailedError:
        raise
    except DeltaError as error:
        raise LakeError(f"table {table.name}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    """delta-rs writes its errors for a terminal: in colour, a cause a line."""
    return " ".join(_COLOUR.sub("", str(error)).split())


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
