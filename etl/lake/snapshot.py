"""One version of a Delta table: its files and its watermarks.

For every series a snapshot has two *watermarks*, kept as Delta transactions: the `_n` of the last
line that the table holds (app id `lines:<series>`), and the number of the last segment that it
holds whole (app id `<series>`). The table holds every line at or below either of them. A commit
moves files and watermarks together, so at every version a line is either in the table or not.
Versions before 0.1 took only whole segments, and wrote only the second watermark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from etl.lake.duck import quoted
from etl.lake.errors import LakeError, VersionNotFound, lake_errors, one_line
from etl.lake.table_store import LocalTable, TableStore, name_of
from etl.lake.tables import PARTITION, Table

SIGNED = "beaconlog-signed"
"""The app id that the first commit with a signed sale sets to 1."""
RETAINED_FROM = "beaconlog.retained_from"
"""The table's property that holds the oldest day of receipt that retention keeps."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a snapshot as its commit describes it; `path` is relative to the table's folder.

    `first` is its earliest time: when its events occurred, or its other rows were received.
    """

    path: str
    event_date: str
    size_bytes: int
    rows: int
    first: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of one table; `version` is None if the table does not exist yet.

    `files` are paths of Parquet files. The SQL that reads them makes `store` fetch them first.
    """

    table: Table
    version: int | None
    files: tuple[str, ...]
    delta: DeltaTable | None
    store: TableStore | None = None
    _transactions: dict[tuple[int | None, str], int] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The transactions that were read: (version, app id) -> number."""

    @classmethod
    def load(cls, folder: Path, table: Table, version: int | None = None) -> Snapshot:
        """Load the newest version of a table in a folder, or `version`.

        Raises LakeError, VersionNotFound.
        """
        snapshot = cls.of(LocalTable(folder, table), version)
        if version is not None:
            snapshot.require_files()
        return snapshot

    @classmethod
    def of(cls, store: TableStore, version: int | None = None) -> Snapshot:
        """Load the newest version of the Delta log that `store` has here, or `version`.

        Raises LakeError, VersionNotFound.
        """
        folder, table = store.folder, store.table
        delta = _newest(folder, table) if version is None else _at(folder, table, version)
        if delta is None:
            return cls.empty(table)
        return _of(store, delta)

    @classmethod
    def empty(cls, table: Table) -> Snapshot:
        """Return the snapshot of a table that does not exist yet."""
        return cls(table, None, (), None)

    def opened(self) -> tuple[DeltaTable, TableStore]:
        """Return the Delta table and its store. Raises LakeError if it was never created."""
        if self.delta is None or self.store is None:
            raise LakeError(f"table {self.table.name} was never created")
        return self.delta, self.store

    @classmethod
    def detached(
        cls,
        table: Table,
        version: int | None,
        files: Sequence[str],
        transactions: Mapping[str, int],
        store: TableStore | None = None,
    ) -> Snapshot:
        """Return a version without its Delta table; of its watermarks it knows `transactions`."""
        snapshot = cls(table, version, tuple(files), None, store)
        for app_id, number in transactions.items():
            snapshot._transactions[version, app_id] = number
        return snapshot

    def after_commit(self) -> Snapshot:
        """Return the version to which a commit has moved this snapshot's Delta table."""
        if self.delta is None or self.store is None:
            return self
        return _of(self.store, self.delta)

    def watermark(self, series: str) -> int:
        """Return the last segment of `series` that the table holds whole; 0 for none.

        delta-rs reads it from the Delta log at the first call. Raises LakeError if an entry of this
        version was removed meanwhile; a caller without the lake's lock then loads the table again.
        """
        return self._transaction(series)

    def lines(self, series: str) -> int:
        """Return the `_n` of the last line of `series` that the table holds; 0 for none.

        Also 0 if a version that took only whole segments wrote the table last. Raises LakeError as
        `watermark` does.
        """
        return self._transaction(lines_of(series))

    def _transaction(self, app_id: str) -> int:
        if self.delta is None:
            return self._transactions.get((self.version, app_id), 0)
        key = self.delta.version(), app_id  # a commit moves the version of the Delta table
        if key not in self._transactions:
            with lake_errors(self.table):
                self._transactions[key] = self.delta.transaction_version(app_id) or 0
        return self._transactions[key]

    def listed(self) -> list[ListedFile]:
        """Return every file as its commit describes it, ordered by path."""
        if self.delta is None:
            return []
        actions = self.delta.get_add_actions(flatten=True)
        first = "min.occurred_at" if "occurred_at" in self.table.columns else "min.received_at"
        names = ("path", f"partition.{PARTITION}", "size_bytes", "num_records", first)
        known = actions.schema.names  # an empty table has no statistics
        columns = [
            actions[name].to_pylist() if name in known else [None] * len(actions) for name in names
        ]
        return sorted(
            (
                ListedFile(path, str(day), *facts)
                for path, day, *facts in zip(*columns, strict=True)
            ),
            key=lambda file: file.path,
        )

    def require_files(self) -> None:
        """Raise VersionNotFound unless the table still has every file of this version."""
        names = [name_of(file) for file in self.files]
        if self.store and self.store.present(names) != set(names):
            version = f"version {self.version}"
            raise VersionNotFound(f"{self.table.name} no longer has the files of {version}")

    def fetch(self, files: Sequence[str] | None = None) -> None:
        """Make the files of this version, or some of them, be here. Raises LakeError."""
        if self.store:
            self.store.fetch(self.files if files is None else files)

    def fetch_keys(self, files: Sequence[str]) -> None:
        """Make the key files of these files be here, unless they are missing. Raises LakeError."""
        if self.store:
            self.store.fetch_keys(files)

    def size_bytes(self, file: str) -> int | None:
        """Return the size of a file that need not be here; None if it is here for certain."""
        return self.store.size_bytes(file) if self.store else None

    def property(self, name: str) -> str | None:
        """Return a property of the table; None if it is not set."""
        value = self.delta.metadata().configuration.get(name) if self.delta else None
        return None if value is None else str(value)

    def files_since(self, event_date: str) -> list[str]:
        """Return the files of the partitions from `event_date` on."""
        marker = f"{PARTITION}="
        return [
            file
            for file in self.files
            if file.rpartition(marker)[2].partition("/")[0] >= event_date
        ]

    def relation(self, files: Sequence[str] | None = None) -> str:
        """Return SQL that reads the table (or some of its files) with the table's columns.

        Raises LakeError if the files cannot be fetched.
        """
        return self._reading(self.files if files is None else files, self.table.read)

    def stored_relation(self, files: Sequence[str]) -> str:
        """Return SQL that reads some of the table's files with the stored columns.

        Raises LakeError if they cannot be fetched.
        """
        return self._reading(files, self.table.read_stored)

    def _reading(self, files: Sequence[str], columns_of: Callable[[Collection[str]], str]) -> str:
        if self.store:
            self.store.fetch(files)
        return _reading(files, self.table, columns_of)


def held_whole(snapshots: Iterable[Snapshot], series: str) -> int:
    """Return the last segment of a series that each of the tables holds whole; 0 for none.

    Raises LakeError as `Snapshot.watermark` does.
    """
    return min((snapshot.watermark(series) for snapshot in snapshots), default=0)


def of_table(snapshots: Iterable[Snapshot], table: Table) -> Snapshot:
    """Return the snapshot of a table."""
    return next(snapshot for snapshot in snapshots if snapshot.table is table)


def newest_date(snapshots: Iterable[Snapshot]) -> date | None:
    """Return the newest day of receipt in any of the snapshots; None if all are empty."""
    days = {file.event_date for snapshot in snapshots for file in snapshot.listed()}
    return date.fromisoformat(max(days)) if days else None


def lines_of(series: str) -> str:
    """Return the app id of the watermark that holds the ordinal of a series' last line."""
    return f"lines:{series}"


def _reading(
    files: Sequence[str], table: Table, columns_of: Callable[[Collection[str]], str]
) -> str:
    """Return SQL that reads files; `columns_of` lists the columns for those that a file lacks.

    DuckDB's `union_by_name` would open every file to find the missing columns.
    """
    if not files:
        return f"(SELECT {columns_of(table.stored)} LIMIT 0)"
    by_missing: dict[frozenset[str], list[str]] = {}
    for file in files:
        by_missing.setdefault(table.missing_in(file), []).append(quoted(file))
    parts = [
        f"SELECT {columns_of(missing)} FROM read_parquet([{', '.join(listed)}], "
        f"hive_partitioning = true, hive_types = {{'{PARTITION}': DATE}})"
        for missing, listed in by_missing.items()
    ]
    return f"({' UNION ALL '.join(parts)})"


def _of(store: TableStore, delta: DeltaTable) -> Snapshot:
    with lake_errors(store.table):
        # delta-rs returns URLs: a space in the data folder's name is %20.
        files = sorted(unquote(uri) for uri in delta.file_uris())
        return Snapshot(store.table, delta.version(), tuple(files), delta, store)


def _newest(folder: Path, table: Table) -> DeltaTable | None:
    try:
        return DeltaTable(folder)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise LakeError(f"table {table.name} at {folder}: {one_line(error)}") from error


def _at(folder: Path, table: Table, version: int) -> DeltaTable:
    no_version = f"{table.name} has no version {version}"
    try:
        # For a version that is far ahead, delta-rs would look for every version before it.
        if not 0 <= version <= DeltaTable(folder).version():
            raise VersionNotFound(no_version)
        return DeltaTable(folder, version=version)
    except (DeltaError, OSError) as error:
        raise VersionNotFound(no_version) from error
