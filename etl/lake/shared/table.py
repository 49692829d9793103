"""A table in object storage (see `etl.lake.table_store`), and the copies of it in a folder here.

A commit uploads its files first, and is then made by delta-rs with a conditional put: of two from
one version, one wins. So a process that was suspended in the middle commits nothing after another
one has taken its place. It also commits no file that `unused` has listed, because `unused` makes a
commit of its own after it has listed the files; and every attempt gives its files new names.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from etl.lake import commits, table_store
from etl.lake.errors import LakeUnavailable, lake_errors
from etl.lake.keys import format as key_format
from etl.lake.shared import file_cache
from etl.lake.shared.downloads import Downloads
from etl.lake.shared.file_cache import FileCache, Room
from etl.lake.shared.log_mirror import LogMirror
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import name_of
from etl.lake.tables import Table
from etl.object_store import ObjectStore, ObjectStoreError


@dataclass(frozen=True, slots=True)
class Bucket:
    """The place of a lake: its objects, and its URL and options for delta-rs.

    `uploads` are the same objects, with more time per request.
    """

    objects: ObjectStore
    uploads: ObjectStore
    url: str
    options: dict[str, str]


class SharedTable:
    """One table of a lake in object storage. Threads may share it."""

    def __init__(
        self,
        bucket: Bucket,
        downloads: Downloads,
        folder: Path,
        table: Table,
        room: Room,
    ) -> None:
        """Keep the copies of the table in `folder`."""
        self.folder, self.table = folder, table
        self._bucket = bucket
        self._url = f"{bucket.url}/{table.name}"
        self._mirror = LogMirror(downloads, table.name, folder)
        self._cache = FileCache(downloads, table.name, folder, room)
        self._sizes: dict[str, int] = {}
        """The sizes of the files of the newest version and of the one before."""
        self._newest: Snapshot = Snapshot.empty(table)
        self._remote: DeltaTable | None = None
        self._forgot_at_s = 0.0

    def refresh(self) -> None:
        with self._errors():
            self._mirror.update()

    def prepare(self) -> None:
        self.refresh()
        if not DeltaTable.is_deltatable(str(self.folder)):
            # Of two that create it at the same time, the second uses the first one's.
            with self._errors(), suppress(CommitFailedError):
                table_store.create(self._url, self.table, self._bucket.options)
            self.refresh()
        self._learn(Snapshot.of(self))  # for a process that only commits

    def load(self, version: int | None = None) -> Snapshot:
        """Load the newest version, or `version`, of which all files must exist.

        Raises LakeError, VersionNotFound.
        """
        self.refresh()
        snapshot = Snapshot.of(self, version)
        if version is None:
            self._learn(snapshot)
        else:
            self._sizes |= _sizes_of(snapshot)
            snapshot.require_files()
        return snapshot

    def _learn(self, newest: Snapshot) -> None:
        """Remember the sizes of the files, and delete the copies of those that were replaced.

        A copy that was used within the last KEPT_FOR_S stays until a later call.
        """
        before, self._newest = self._newest, newest
        if newest.version != before.version:
            self._sizes = _sizes_of(before) | _sizes_of(newest)
        elif time.monotonic() - self._forgot_at_s < file_cache.KEPT_FOR_S:
            return
        self._forgot_at_s = time.monotonic()
        used = _sizes_of(newest)
        kept = {*used, *(str(key_format.path_of(name)) for name in used)}
        self._cache.keep_only(kept, idle_s=file_cache.KEPT_FOR_S)

    def file_key(self, key: str) -> str:
        # Two machines may write the same rows, in files of different bytes.
        return f"{key}-{table_store.unique()}"

    def fetch(self, paths: Sequence[str]) -> None:
        self._fetch([name_of(path) for path in paths])

    def fetch_keys(self, paths: Sequence[str]) -> None:
        if self.table.is_keyed:
            self._fetch([name_of(str(key_format.path_of(path))) for path in paths])

    def _fetch(self, names: Sequence[str]) -> None:
        with self._errors():
            self._cache.fetch(names, self._sizes)

    def size_bytes(self, path: str) -> int | None:
        if name_of(path) not in self._sizes:
            self._sizes |= _sizes_of(Snapshot.of(self))
        return self._sizes.get(name_of(path))

    def without_keys(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        keys = {path: name_of(str(key_format.path_of(path))) for path in paths}
        present = self.present(list(keys.values()))
        return [(path, "it is missing") for path, name in keys.items() if name not in present]

    def put_keys(self, path: str) -> None:
        with self._errors():
            self._upload(key_format.path_of(path))

    @contextmanager
    def committing(self, delta: DeltaTable, files: Sequence[Path] = (), /) -> Iterator[DeltaTable]:
        with self._errors():
            for path in files:
                self._upload(path)
                if self.table.is_keyed:
                    self._upload(key_format.path_of(path))
            remote = self._remote_at(delta.version())
            try:
                yield remote
            except CommitFailedError:
                if files:
                    self._delete_uploads(files)
                raise
            remote.update_incremental()
        self.refresh()
        delta.update_incremental()

    def _delete_uploads(self, files: Sequence[Path]) -> None:
        """Delete the files of a refused commit: they may hold rows that were erased meanwhile.

        Unless it was made after all, which is so if its response was lost and it was repeated.
        """
        self._mirror.update()
        names = [name_of(str(path)) for path in files]
        if _sizes_of(Snapshot.of(self)).keys().isdisjoint(names):
            self.delete([*names, *(str(key_format.path_of(name)) for name in names)])

    def _upload(self, path: Path) -> None:
        """Put a file, and verify that all of it is there."""
        key = f"{self.table.name}/{name_of(str(path))}"
        self._bucket.uploads.put_file(key, path)
        if self._bucket.objects.size_bytes(key) != path.stat().st_size:
            raise LakeUnavailable(f"{self._bucket.objects.name}/{key} was not stored whole")

    def _remote_at(self, version: int) -> DeltaTable:
        """Return the table in the bucket at a version: the one that committed last, if it fits."""
        remote = self._remote
        if remote is None or remote.version() != version:
            remote = self._at(version)
        self._remote = remote
        return remote

    def checkpoint(self, version: int) -> None:
        with self._errors():
            self._at(version).create_checkpoint()
            self._mirror.update_all()

    def _at(self, version: int | None = None) -> DeltaTable:
        return DeltaTable(self._url, version=version, storage_options=self._bucket.options)

    def unused(self, *, retention_hours: int) -> list[str]:
        # Listed before the fence: a name that is unused after it is never committed later.
        with self._errors():
            listed = table_store.unused_files(self._at(), retention_hours=retention_hours)
            names = self._names()
        self.refresh()
        commits.fence(Snapshot.of(self))
        used = _sizes_of(Snapshot.of(self)).keys()
        self._cache.keep_only({*names, *used}, idle_s=0.0)
        return [name for name in listed if name not in used]

    def present(self, names: Sequence[str]) -> set[str]:
        return self._names().intersection(names)

    def _names(self) -> set[str]:
        """Return the names of all files of the table."""
        with self._errors():
            listed = self._bucket.objects.listed(f"{self.table.name}/")
        return {item.key.removeprefix(f"{self.table.name}/") for item in listed}

    def delete(self, names: Sequence[str]) -> None:
        with self._errors():
            self._bucket.objects.delete([f"{self.table.name}/{name}" for name in names])
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def delete_entries_before(self, version: int) -> int:
        with self._errors():
            return self._mirror.delete_before(version)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise errors of the lake for those of the bucket and of the disk."""
        try:
            with lake_errors(self.table):
                yield
        except ObjectStoreError as error:
            raise LakeUnavailable(f"the lake cannot be used: {error}") from error
        except OSError as error:
            raise LakeUnavailable(f"table {self.table.name} at {self._url}: {error}") from error


def _sizes_of(snapshot: Snapshot) -> dict[str, int]:
    return {file.path: file.size_bytes for file in snapshot.listed()}
