"""Where everything lies under the data folder. No other module spells these names.

<data>/directory.db                    tenants and products (embedded default)
<data>/salts/<YYYY-MM-DD>              the day's visitor salt
<data>/log/lock                        held while a series is claimed or recovered
<data>/log/<series>/...                segments, see `etl.segments`
<data>/lake/lock                       held by the one compaction
<data>/lake/<table>/                   a Delta table
<data>/lake/tmp/                       DuckDB's spill files
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from etl import durable

_NAMES_REFUSE = "%?\\"  # URLs of databases and tables are made from the path


class DataFolderError(Exception):
    """The data folder cannot be used; the message says which path and why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The names under one data folder. Making a Layout touches no file."""

    root: Path

    @property
    def directory_db(self) -> Path:
        return self.root / "directory.db"

    @property
    def directory_url(self) -> str:
        return f"sqlite:///{self.directory_db}"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens.json"

    @property
    def salts(self) -> Path:
        return self.root / "salts"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def log_lock(self) -> Path:
        return self.log / "lock"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def lake_lock(self) -> Path:
        return self.lake / "lock"

    @property
    def spill(self) -> Path:
        return self.lake / "tmp"

    def table(self, name: str) -> Path:
        return self.lake / name

    def prepare(self) -> None:
        """Make the folders of a writing role. Raises DataFolderError when that is refused."""
        if set(str(self.root)) & set(_NAMES_REFUSE):
            raise DataFolderError(f"data folder: its path must not contain any of {_NAMES_REFUSE}")
        for folder in (self.root, self.log, self.lake, self.salts):
            self._make_writable(folder)

    def refuse_full_disk(self) -> None:
        """Raise DataFolderError where no byte is free: SQLite would speak of an I/O error."""
        if not os.statvfs(self.root).f_bavail:
            raise DataFolderError(f"data folder {self.root}: its disk is full; free some space")

    @staticmethod
    def _make_writable(folder: Path) -> None:
        try:
            for missing in reversed(
                [path for path in (folder, *folder.parents) if not path.exists()]
            ):
                durable.make_folder(missing)
        except OSError as error:
            raise DataFolderError(f"data folder {folder}: {error.strerror}") from error
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise DataFolderError(f"data folder {folder}: not writable")
