"""The names of everything under the data folder. No other module spells them.

<data>/format.json                     {"format": 4}; a folder without it is of format 1
<data>/directory.db                    tenants and products (embedded default)
<data>/directory.snapshot              the last tenants and products of a directory on a server
<data>/directory.lock                  held while that file is refreshed
<data>/signing.json                    secrets with which tenants sign sales
<data>/tokens.json, tokens.made        tokens of the private port; the mark that one was made
<data>/<name>.json.shared              of which shared version signing, tokens or goals are a copy
<data>/goals.json                      filters of events that shops have named
<data>/throttle.json                   how many machines last shared the limits of `throttle_url`
<data>/sessions.json                   signed-in browsers
<data>/salts/<YYYY-MM-DD>              the salt of that day for visitor ids
<data>/log/lock                        held while a series is claimed or recovered
<data>/log/<series>/...                segments, see `etl.log.format`
<data>/warehouse.json                  the id by which object storage knows this warehouse
<data>/mirror/<series>/...             copies of the segments in object storage
<data>/shipping.json, shipping.lock    why segments are not shipped; held by the shipper
<data>/lake/lock                       held while a job changes the lake
<data>/lake/copy-of.json              of which lake in object storage the tables are copies
<data>/lake/<table>/                   a Delta table
<data>/lake/tmp/                       DuckDB's spill files
<data>/lake/excerpts/                  parts of segments, while a compaction reads them
<data>/lake/shuffle/                   lines between the tasks of a pass, see `etl.lake.engines`
<data>/lake/downloads/                 copies of a lake in object storage, until they are whole

A version of beaconlog whose files an older version would misread has a higher format number. This
version reads every format up to FORMAT, writes FORMAT, and refuses a newer one. A process that
writes marks the folder with FORMAT before it writes anything else. Format 1 has no mark.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl import durable

FORMAT = 4
TOKENS_MADE, SESSIONS = "tokens.made", "sessions.json"
_FORBIDDEN = "%?\\"  # the path becomes part of URLs of databases and tables


class DataFolderError(Exception):
    """The data folder cannot be used; the message says which path and why."""


class NewerFormat(DataFolderError):
    """A newer version wrote the folder; this version must neither read nor write it."""


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


@dataclass(frozen=True, slots=True)
class Layout:
    """The names under one data folder. Making a Layout touches no file."""

    root: Path

    @property
    def format_file(self) -> Path:
        return self.root / "format.json"

    @property
    def directory_db(self) -> Path:
        return self.root / "directory.db"

    @property
    def directory_url(self) -> str:
        return f"sqlite:///{self.directory_db}"

    @property
    def directory_snapshot(self) -> Path:
        return self.root / "directory.snapshot"

    @property
    def directory_lock(self) -> Path:
        return self.root / "directory.lock"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens.json"

    @property
    def goals(self) -> Path:
        return self.root / "goals.json"

    @property
    def signing(self) -> Path:
        return self.root / "signing.json"

    @property
    def throttle(self) -> Path:
        return self.root / "throttle.json"

    @property
    def tokens_made(self) -> Path:
        return self.root / TOKENS_MADE

    @property
    def sessions(self) -> Path:
        return self.root / SESSIONS

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
    def warehouse(self) -> Path:
        return self.root / "warehouse.json"

    @property
    def mirror(self) -> Path:
        return self.root / "mirror"

    @property
    def shipping(self) -> Path:
        return self.root / "shipping.json"

    @property
    def shipping_lock(self) -> Path:
        return self.root / "shipping.lock"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def lake_lock(self) -> Path:
        return self.lake / "lock"

    @property
    def spill(self) -> Path:
        return self.lake / "tmp"

    @property
    def excerpts(self) -> Path:
        return self.lake / "excerpts"

    @property
    def shuffle(self) -> Path:
        return self.lake / "shuffle"

    @property
    def lake_copy_of(self) -> Path:
        return self.lake / "copy-of.json"

    @property
    def downloads(self) -> Path:
        return self.lake / "downloads"

    def table(self, name: str) -> Path:
        return self.lake / name

    def prepare(self) -> None:
        """Make the folders that a writing process needs and mark the data folder, durably.

        Raises DataFolderError; NewerFormat before anything is changed.
        """
        if set(str(self.root)) & set(_FORBIDDEN):
            raise DataFolderError(f"data folder: its path must not contain any of {_FORBIDDEN}")
        self.refuse_newer()
        self._refuse_links()
        for folder in (self.root, self.log, self.lake, self.salts):
            self._make_folder(folder)
        self._restrict_secrets()
        self._mark()

    def links(self) -> Iterator[Path]:
        """Yield the symbolic links in the places where jobs delete files."""
        tables = [entry for entry in _entries(self.lake) if entry.is_dir()]
        folders = (self.log, self.mirror, self.lake)
        inner = (path for folder in (*folders, *tables) for path in _entries(folder))
        yield from (path for path in (*folders, self.salts, *inner) if path.is_symlink())

    def secrets(self) -> Iterator[Path]:
        """Yield the existing files and folders that hold secrets."""
        database = [
            self.directory_db.with_name("directory.db" + end) for end in ("", "-wal", "-shm")
        ]
        yield from (
            path
            for path in (*database, self.tokens, self.sessions, self.signing, self.salts)
            if path.exists()
        )
        yield from _entries(self.salts)

    def _refuse_links(self) -> None:
        for path in self.links():
            raise DataFolderError(
                f"data folder: {path} is a symbolic link, and nothing outside the folder may be "
                "deleted; move what it points to here, or mount it here"
            )

    def _restrict_secrets(self) -> None:
        for path in self.secrets():
            with suppress(PermissionError):  # owned by another user: `check` reports it
                durable.make_private(path)

    def format(self) -> int:
        """Return the folder's format number. Raises DataFolderError if it cannot be read."""
        try:
            written = json.loads(self.format_file.read_bytes())["format"]
        except FileNotFoundError:
            return 1
        except OSError as error:
            raise DataFolderError(f"data folder {self.root}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError):
            written = None
        if type(written) is not int or written < 1:
            raise DataFolderError(
                f"data folder {self.root}: format.json holds no format; restore it from a backup"
            )
        return written

    def refuse_newer(self) -> None:
        """Raise NewerFormat if a newer version wrote the folder; DataFolderError as in `format`."""
        version = self.format()
        if version > FORMAT:
            raise NewerFormat(
                f"data folder {self.root}: written by a newer beaconlog (format {version}); this "
                f"one reads up to {FORMAT}: upgrade, or restore a backup"
            )

    def _mark(self) -> None:
        if self.format() == FORMAT:
            return
        content = json.dumps({"format": FORMAT}).encode() + b"\n"
        try:
            with durable.locked(self.log_lock):
                self.refuse_newer()
                durable.write_file(self.format_file, content)
        except OSError as error:
            self.refuse_full_disk()
            raise DataFolderError(f"data folder {self.root}: {error.strerror}") from error

    def refuse_full_disk(self) -> None:
        """Raise DataFolderError if the disk is full, which SQLite reports as an I/O error."""
        if not os.statvfs(self.root).f_bavail:
            raise DataFolderError(f"data folder {self.root}: its disk is full; free some space")

    @staticmethod
    def _make_folder(folder: Path) -> None:
        try:
            for missing in reversed(
                [path for path in (folder, *folder.parents) if not path.exists()]
            ):
                durable.make_folder(missing)
        except OSError as error:
            raise DataFolderError(f"data folder {folder}: {error.strerror}") from error
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise DataFolderError(f"data folder {folder}: not writable")
