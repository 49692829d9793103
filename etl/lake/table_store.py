"""The table store: where one Delta table is, for the snapshots that read it and commit to it.

Readers and jobs work on files below `folder`, always. `LocalTable` is that folder. In its other
form (`etl.lake.shared`) the table is in object storage, and the folder holds copies.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deltalake import DeltaTable

from etl import durable
from etl.lake import delta_log
from etl.lake.errors import lake_errors
from etl.lake.keys import upkeep
from etl.lake.tables import PARTITION, Table

_CONFIGURATION = {
    "delta.checkpointInterval": "100",
    # delta-rs would delete old entries of the log in any order, and before the checkpoint that
    # replaces them is durable: `delta_log.delete_before` does it instead.
    "delta.enableExpiredLogCleanup": "false",
}


def name_of(path: str) -> str:
    """Return the name of a file in its table: its partition and its last part."""
    return "/".join(path.rsplit("/", 2)[-2:])


class TableStore(Protocol):
    """A table and its files. Every method raises LakeError; names are relative to `folder`."""

    @property
    def folder(self) -> Path:
        """The folder of the files here: the Delta log, and those that were fetched."""

    @property
    def table(self) -> Table:
        """The description of the table."""

    def refresh(self) -> None:
        """Bring the Delta log here up to date."""

    def prepare(self) -> None:
        """Create the table unless it exists, and make its log durable, for a caller that commits.

        An entry of the log that a power cut tore is set aside first.
        """

    def file_key(self, key: str) -> str:
        """Return the name, without suffix, of a new file whose content `key` stands for."""

    def fetch(self, paths: Sequence[str]) -> None:
        """Make Parquet files be in `folder`; one that was deleted from the table stays away."""

    def fetch_keys(self, paths: Sequence[str]) -> None:
        """Make the key files of Parquet files be in `folder`; those that are missing stay away."""

    def size_bytes(self, path: str) -> int | None:
        """Return the size of a Parquet file as it was committed; None if the file is here."""

    def without_keys(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Return the Parquet files without a usable key file, each with the reason."""

    def put_keys(self, path: str) -> None:
        """Put the key file, which was made again in `folder`, into the table."""

    def committing(
        self, delta: DeltaTable, files: Sequence[Path] = (), /
    ) -> AbstractContextManager[DeltaTable]:
        """Yield the Delta table to commit through, at the version of `delta`, which is here.

        `files` are the new Parquet files, which lie in `folder` with their key files. At the end of
        the body the commit is durable, and `delta` is at its version.
        """

    def checkpoint(self, version: int) -> None:
        """Make a checkpoint of a version, durably."""

    def unused(self, *, retention_hours: int) -> list[str]:
        """Return the names of the files that no version of the last hours uses.

        Every key file that is older is among them. No other process can commit such a file
        later. Raises CommitFailedError if one commits meanwhile: nothing may be deleted then.
        """

    def present(self, names: Sequence[str]) -> set[str]:
        """Return those of these files that exist in the table."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete files, durably; a missing one is no error."""

    def delete_entries_before(self, version: int) -> int:
        """Delete the entries of the Delta log before a version; return their number.

        The version has a checkpoint.
        """


def unique() -> str:
    """Return a short text that no other call returns."""
    return secrets.token_hex(4)


def create(location: str | Path, table: Table, options: dict[str, str] | None = None) -> None:
    """Create a Delta table where there is none; `options` are delta-rs' for object storage."""
    DeltaTable.create(
        location,
        schema=table.arrow_schema,
        mode="ignore",
        partition_by=[PARTITION],
        name=table.name,
        configuration=_CONFIGURATION,
        storage_options=options,
    )


def unused_files(delta: DeltaTable, *, retention_hours: int) -> list[str]:
    """Return the files beside a Delta table that no version of the last hours uses."""
    return delta.vacuum(
        retention_hours=retention_hours,
        dry_run=True,
        enforce_retention_duration=False,
        full=True,
    )


@dataclass(frozen=True, slots=True)
class LocalTable:
    """A table in a folder of this machine. The jobs that change it hold the lake's lock.

    delta-rs syncs nothing. So the files that a commit adds to the Delta log are synced here, and no
    power cut loses a commit but keeps a later one.
    """

    folder: Path
    table: Table

    def refresh(self) -> None:
        pass  # the log is here

    def prepare(self) -> None:
        delta_log.repair(self.folder)
        with lake_errors(self.table):
            if not DeltaTable.is_deltatable(str(self.folder)):
                create(self.folder, self.table)
        delta_log.sync_newest(self.folder)

    def file_key(self, key: str) -> str:
        return key  # a file of this name holds these rows, whoever wrote it

    def fetch(self, paths: Sequence[str]) -> None:
        pass  # all files are here

    def fetch_keys(self, paths: Sequence[str]) -> None:
        pass

    def size_bytes(self, path: str) -> int | None:  # noqa: ARG002  (all files are here)
        return None

    def without_keys(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        return list(upkeep.unusable(paths))

    def put_keys(self, path: str) -> None:
        pass

    @contextmanager
    def committing(self, delta: DeltaTable, _: Sequence[Path] = (), /) -> Iterator[DeltaTable]:
        with self._synced():
            yield delta
            delta.update_incremental()

    def checkpoint(self, version: int) -> None:
        with self._synced():
            DeltaTable(self.folder, version=version).create_checkpoint()

    @contextmanager
    def _synced(self) -> Iterator[None]:
        """Sync the files that the body adds to the Delta log."""
        before = frozenset(os.listdir(self.folder / delta_log.FOLDER))
        with lake_errors(self.table):
            yield
        delta_log.sync(self.folder, before)

    def unused(self, *, retention_hours: int) -> list[str]:
        # Loaded here: from an older version, delta-rs would list files of the newest.
        with lake_errors(self.table):
            return unused_files(DeltaTable(self.folder), retention_hours=retention_hours)

    def present(self, names: Sequence[str]) -> set[str]:
        return {name for name in names if (self.folder / name).exists()}

    def delete(self, names: Sequence[str]) -> None:
        paths = [self.folder / name for name in names]
        for path in paths:
            path.unlink(missing_ok=True)
        for partition in {path.parent for path in paths}:
            durable.fsync_path(partition)

    def delete_entries_before(self, version: int) -> int:
        return delta_log.delete_before(self.folder, version)
