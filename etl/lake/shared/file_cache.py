"""The local copies of a table's Parquet and key files, which never change.

Copies are deleted when all of a lake exceed a size, least recently used first; but never one that
was used within the last KEPT_FOR_S, because a question may read it. A file that is deleted while it
is open can be read to its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl.lake.shared.downloads import Downloads
from etl.lake.tables import PARTITION

KEPT_FOR_S = 900.0
"""Longer than any report may take."""
_TOUCHED_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class FileCache:
    """The copies of one table's files in `folder`; `names` are relative to it."""

    downloads: Downloads
    table: str
    folder: Path

    def fetch(self, names: Sequence[str]) -> bool:
        """Copy the files that are not here; return whether any was. Raises ObjectStoreError."""
        missing = [name for name in names if not self._touch(name)]
        if not missing:
            return False
        for partition in {name.partition("/")[0] for name in missing}:
            (self.folder / partition).mkdir(parents=True, exist_ok=True)
        copies = self.downloads.get([f"{self.table}/{name}" for name in missing])
        for name, copy in zip(missing, copies, strict=True):
            if copy:
                copy.replace(self.folder / name)
        return any(copies)

    def _touch(self, name: str) -> bool:
        """Mark a copy as used now; return whether there is one.

        By the time of its last access: DuckDB reads a footer again if the file was modified.
        """
        path, now_s = self.folder / name, time.time()
        with suppress(FileNotFoundError):
            found = path.stat()
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


def evict(folders: Sequence[Path], *, bytes_max: int) -> None:
    """Delete the least recently used copies of a lake's tables until they fit."""
    now_s = time.time()
    copies = [copy for folder in folders for copy in copies_in(folder)]
    excess_bytes = sum(copy.size_bytes for copy in copies) - bytes_max
    for copy in sorted(copies, key=lambda copy: copy.used_s):
        if excess_bytes <= 0 or copy.idle_s(now_s) < KEPT_FOR_S:
            return
        copy.path.unlink(missing_ok=True)
        excess_bytes -= copy.size_bytes
