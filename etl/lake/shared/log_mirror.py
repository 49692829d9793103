"""The local copy of a Delta log that is in object storage, so that delta-rs reads it as a folder.

A copy appears whole, after those of smaller versions, with the time at which its object was put. An
entry never changes, so only the names above the newest copy are listed. Once in a while, and when
the numbers have a gap, all are listed: then checkpoints are copied, and copies of deleted objects
are deleted.

`_last_checkpoint` is not copied: it is replaced at any time, and could name a checkpoint that is
not here, without which delta-rs reads nothing. A folder shows its newest checkpoint by itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from etl.lake import delta_log
from etl.lake.delta_log import is_checkpoint, is_entry, version_of
from etl.lake.shared.downloads import Downloads
from etl.object_store import Listed, ObjectStoreError

_BATCH = 64
_ATTEMPTS_MAX = 10
_SAME_S = 0.001
_LISTED_WHOLE_EVERY_S = 3_600.0
_LISTED_WHOLE_EVERY_VERSIONS = 120
"""More than the interval of checkpoints, which make the log quick to read."""


class LogMirror:
    """The copies of one Delta log. Threads may share it, and processes the folder."""

    def __init__(self, downloads: Downloads, table: str, folder: Path) -> None:
        """Mirror the log of a table into the folder of its files here."""
        self._downloads, self._objects = downloads, downloads.objects
        self._folder = folder / delta_log.FOLDER
        self._below = f"{table}/{delta_log.FOLDER}/"
        self._newest: int | None = None
        self._listed_whole: tuple[int, float] | None = None
        """The newest version and the time when all names were listed."""
        self._lock = threading.Lock()

    def update(self) -> None:
        """Copy what is new. Raises ObjectStoreError; OSError."""
        with self._lock:
            if not (self._is_listed_whole_lately() and self._copy_above()):
                self._copy_all()

    def update_all(self) -> None:
        """Copy all that is missing, and delete what is gone. Raises as `update`."""
        with self._lock:
            self._copy_all()

    def delete_before(self, version: int) -> int:
        """Delete the entries before a version that has a checkpoint; return their number.

        Oldest first, so that a kill leaves no gap. Raises as `update`.
        """
        listed = [item.key.removeprefix(self._below) for item in self._objects.listed(self._below)]
        old = sorted(
            (name for name in listed if _is_versioned(name) and version_of(name) < version),
            key=version_of,
        )
        for name in old:
            self._objects.delete([self._below + name])
        self.update_all()
        return len(old)

    def _is_listed_whole_lately(self) -> bool:
        if self._listed_whole is None or self._newest is None:
            return False
        version, at_s = self._listed_whole
        is_recent = abs(time.time() - at_s) < _LISTED_WHOLE_EVERY_S  # it counts while asleep too
        return is_recent and self._newest - version < _LISTED_WHOLE_EVERY_VERSIONS

    def _copy_above(self) -> bool:
        """Copy the entries above the newest copy; return False if one between them is gone."""
        newest = self._newest or 0
        listed = self._objects.listed(self._below, self._below + _entry(newest))
        new = [item for item in listed if is_entry(self._name(item))]
        versions = [version_of(self._name(item)) for item in new]
        if versions != list(range(newest + 1, newest + 1 + len(new))):
            return False
        if not self._copy([item for item in new if not self._is_copied(item)]):
            return False
        self._newest = newest + len(new)
        return True

    def _copy_all(self) -> None:
        """Make the folder hold the whole log, although another machine may delete old entries."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS_MAX):
            if self._copy_listed():
                return
        where = f"{self._objects.name}/{self._below}"
        raise ObjectStoreError(f"{where}: objects are deleted while they are copied; ask again")

    def _copy_listed(self) -> bool:
        """Copy all that is listed; return False if some of it was deleted since.

        A checkpoint may then replace it that is not in this listing. Checkpoints are copied first,
        because entries may need them.
        """
        everything = self._objects.listed(self._below)
        listed = [item for item in everything if _is_versioned(self._name(item))]
        names = {self._name(item) for item in listed}
        missing = [item for item in listed if not self._is_copied(item)]
        if not self._copy(sorted(missing, key=lambda item: is_entry(self._name(item)))):
            return False
        newest = max((version_of(name) for name in names if is_entry(name)), default=-1)
        gone = (name for name in os.listdir(self._folder) if name not in names)
        # Another process may have copied an entry that was put since the listing.
        for name in sorted(name for name in gone if _is_versioned(name)):
            if version_of(name) <= newest:
                (self._folder / name).unlink(missing_ok=True)
        (self._folder / delta_log.LAST_CHECKPOINT).unlink(missing_ok=True)  # of an earlier version
        self._newest = newest if newest >= 0 else None
        self._listed_whole = newest, time.time()
        return True

    def _is_copied(self, item: Listed) -> bool:
        with suppress(FileNotFoundError):
            there = (self._folder / self._name(item)).stat()
            is_same_time = abs(there.st_mtime - item.modified_s) < _SAME_S
            return is_same_time and there.st_size == item.size_bytes
        return False

    def _copy(self, items: Sequence[Listed]) -> bool:
        """Copy objects so that they appear in their order; return whether all of them exist."""
        all_exist = True
        for start in range(0, len(items), _BATCH):
            part = items[start : start + _BATCH]
            with self._downloads.batch([item.key for item in part]) as copies:
                for item, copy in zip(part, copies, strict=True):
                    if copy is None:
                        all_exist = False
                        continue
                    os.utime(copy, (item.modified_s, item.modified_s))
                    copy.replace(self._folder / self._name(item))
        return all_exist

    def _name(self, item: Listed) -> str:
        return item.key.removeprefix(self._below)


def _entry(version: int) -> str:
    return f"{version:020}.json"


def _is_versioned(name: str) -> bool:
    """Return whether it is the name of an entry or of a checkpoint."""
    return is_entry(name) or is_checkpoint(name)
