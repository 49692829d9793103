"""The local copies of a table's Parquet and key files, which never change.

Each appears as soon as it is whole, so a fetch that fails is continued by the next one.

Copies are deleted when all of a lake exceed a size or fill the disk, least recently used first; but
never one that was used within the last KEPT_FOR_S, because a question may read it. A file that is
deleted while it is open can be read to its end.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

from etl.lake.errors import LakeUnavailable
from etl.lake.shared.downloads import Downloads, in_parallel
from etl.lake.tables import PARTITION

KEPT_FOR_S = 900.0
"""Longer than `report_timeout_s` should be. An export may take longer, and then ends halfway."""
_TOUCHED_EVERY_S = 60.0
FETCH_TIMEOUT_S = 300.0
_LOCKS = 64


@dataclass(frozen=True, slots=True)
class FileCache:
    """The copies of one table's files in `folder`; `names` are relative to it.

    A fetch takes only what `room` has. Threads may share it.
    """

    downloads: Downloads
    table: str
    folder: Path
    room: Room
    _locks: tuple[Lock, ...] = field(
        default_factory=lambda: tuple(Lock() for _ in range(_LOCKS)), init=False, repr=False
    )

    def fetch(self, names: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Copy the files that are not here; `sizes` are the bytes of those that are known.

        On a disk that is too full, even files of unknown size are refused. Raises LakeUnavailable
        if there is no room for them, or if they take too long; ObjectStoreError; OSError.
        """
        missing = [name for name in names if not self._touch(name, sizes.get(name))]
        if not missing:
            return
        self.room.require(sum(sizes.get(name, 0) for name in missing))
        for partition in {name.partition("/")[0] for name in missing}:
            (self.folder / partition).mkdir(parents=True, exist_ok=True)
        deadline_s = time.monotonic() + FETCH_TIMEOUT_S
        fetch = partial(self._fetch, deadline_s)
        in_parallel(fetch, [(name, sizes.get(name)) for name in missing])

    def _fetch(self, deadline_s: float, item: tuple[str, int | None]) -> None:
        name, size_bytes = item
        if time.monotonic() >= deadline_s:
            raise LakeUnavailable(
                f"files of the lake could not be copied to {self.folder} within "
                f"{FETCH_TIMEOUT_S:g} s; try again, it goes on from there"
            )
        with self._locks[hash(name) % len(self._locks)]:  # of two threads, one downloads it
            if not self._touch(name, size_bytes):
                self.downloads.copy(f"{self.table}/{name}", self.folder / name)

    def _touch(self, name: str, size_bytes: int | None) -> bool:
        """Mark a copy as used now; return whether there is a whole one.

        By the time of its last access: DuckDB reads a footer again if the file was modified.
        """
        path, now_s = self.folder / name, time.time()
        with suppress(FileNotFoundError):
            found = path.stat()
            if size_bytes is not None and found.st_size != size_bytes:
                return False
            if now_s - found.st_atime > _TOUCHED_EVERY_S:
                os.utime(path, (now_s, found.st_mtime))
            return True
        return False

    def keep_only(self, names: Collection[str], *, idle_s: float) -> None:
        """Delete the copies of all other files that nothing has used for `idle_s`."""
        for copy in copies_in(self.folder):
            if copy.name not in names and copy.idle_s(time.time()) >= idle_s:
                copy.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Copy:
    """A file here; `name` is relative to the folder of its table."""

    path: Path
    name: str
    size_bytes: int
    used_s: float

    def idle_s(self, now_s: float) -> float:
        """Return the seconds since it was used."""
        return max(0.0, now_s - self.used_s)


def copies_in(folder: Path) -> Iterator[Copy]:
    """Yield the files below the folder of a table."""
    for path in folder.glob(f"{PARTITION}=*/*"):
        with suppress(FileNotFoundError):
            found = path.stat()
            name = f"{path.parent.name}/{path.name}"
            yield Copy(path, name, found.st_size, max(found.st_atime, found.st_mtime))


@dataclass(frozen=True, slots=True)
class Room:
    """The space on the disk of `folder` for the copies of a lake's tables, in the folders `tables`.

    The copies take about `bytes_max`. They leave twice `disk_free_bytes_min` free, because below
    that minimum a collector of the same disk refuses events.
    """

    folder: Path
    tables: Sequence[Path]
    bytes_max: int
    disk_free_bytes_min: int

    def require(self, new_bytes: int) -> None:
        """Make room for new copies. Raises LakeUnavailable if that is not possible; OSError."""
        if self._lacking_bytes(new_bytes) > 0:
            self.evict(new_bytes)
        if self._lacking_bytes(new_bytes) > 0:
            raise LakeUnavailable(
                f"{self.folder}: no room for copies of {new_bytes} bytes, because {self._free()} "
                f"are free and {2 * self.disk_free_bytes_min} must stay free; ask about a shorter "
                "period, or make room"
            )

    def evict(self, new_bytes: int = 0) -> None:
        """Delete the least recently used copies until the others leave room for new ones."""
        now_s = time.time()
        copies = [copy for folder in self.tables for copy in copies_in(folder)]
        too_many_bytes = sum(copy.size_bytes for copy in copies) - self.bytes_max
        excess_bytes = max(too_many_bytes, self._lacking_bytes(new_bytes))
        for copy in sorted(copies, key=lambda copy: copy.used_s):
            if excess_bytes <= 0 or copy.idle_s(now_s) < KEPT_FOR_S:
                return
            copy.path.unlink(missing_ok=True)
            excess_bytes -= copy.size_bytes

    def _lacking_bytes(self, new_bytes: int) -> int:
        return new_bytes + 2 * self.disk_free_bytes_min - self._free()

    def _free(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free
