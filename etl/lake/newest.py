"""The newest version of a table, loaded again only after its Delta log has changed.

Most questions come between two commits. The versions of a log have no gaps, and the oldest entries
are deleted first. So a version is the newest while its entry is the file that was there when it was
loaded, and the next entry is missing. A snapshot reads watermarks from the log when they are first
asked for, so it is loaded again, too, once the oldest entry was deleted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etl.lake import delta_log
from etl.lake.snapshot import Snapshot
from etl.lake.tables import Table


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a Delta log: its version, and what tells its file from another of its name."""

    version: int
    file: tuple[int, int, int]


@dataclass(slots=True)
class NewestSnapshot:
    """The newest snapshot of a table in a folder, for readers; nobody commits through it.

    Threads may share it.
    """

    folder: Path
    table: Table
    _kept: tuple[Sequence[_Entry], Snapshot] | None = field(default=None, init=False)

    def load(self) -> Snapshot:
        """Return the newest version of the table. Raises LakeError."""
        kept = self._kept
        if kept and self._is_newest(kept[0]):
            return kept[1]
        ends = self._ends()  # before the loading, so that a later change is noticed
        snapshot = Snapshot.load(self.folder, self.table)
        if ends and ends[-1].version == snapshot.version:
            self._kept = ends, snapshot
        return snapshot

    def _is_newest(self, ends: Sequence[_Entry]) -> bool:
        try:
            is_there = all(self._entry(end.version) == end for end in ends)
            return is_there and self._entry(ends[-1].version + 1) is None
        except OSError:
            return False  # Snapshot.load says why

    def _ends(self) -> Sequence[_Entry]:
        """Return the oldest and the newest entry; none for a log that is empty or unreadable."""
        try:
            names = os.listdir(self.folder / delta_log.FOLDER)
            versions = [delta_log.version_of(name) for name in names if delta_log.is_entry(name)]
            ends = (self._entry(end(versions)) for end in (min, max) if versions)
            return [entry for entry in ends if entry]
        except OSError:
            return []

    def _entry(self, version: int) -> _Entry | None:
        try:
            found = (self.folder / delta_log.FOLDER / f"{version:020}.json").stat()
        except FileNotFoundError:
            return None
        return _Entry(version, (found.st_ino, found.st_mtime_ns, found.st_size))
