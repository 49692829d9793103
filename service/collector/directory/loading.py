"""Where a collector's snapshot comes from: a database file, or the saved snapshot of a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable
from etl.directory.saved import SavedDirectory
from service.collector.directory.snapshot import DirectorySnapshot


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot and the seconds since it was read; `failure` is why no newer one could be read.

    `snapshot` is None if the last one is still the newest.
    """

    snapshot: DirectorySnapshot | None
    age_s: float
    failure: DirectoryUnavailable | None = None


@dataclass(slots=True)
class DatabaseLoader:
    """Reads the whole database each time."""

    database: DirectoryDatabase
    monotonic_s: Callable[[], float] = time.monotonic

    def load(self) -> Loaded:
        """Return a new snapshot. Raises DirectoryUnavailable."""
        began_at_s = self.monotonic_s()
        snapshot = DirectorySnapshot.load(self.database)
        return Loaded(snapshot, self.monotonic_s() - began_at_s)


@dataclass(slots=True)
class SavedLoader:
    """Refreshes the saved snapshot of a server, and reads it if it changed."""

    saved: SavedDirectory
    _confirmed: object = None
    _sha256: str = ""
    _snapshot: DirectorySnapshot = field(default_factory=DirectorySnapshot.empty)

    def load(self) -> Loaded:
        """Return the saved snapshot. Raises DirectoryUnavailable if there is none to read."""
        failure = None
        try:
            self.saved.refresh()
        except DirectoryUnavailable as error:
            failure = error
        confirmed = self.saved.confirmed()
        if confirmed is not None and confirmed == self._confirmed:
            return Loaded(None, self.saved.age_s(), failure)
        try:
            self._read()
        except DirectoryUnavailable as error:
            raise DirectoryUnavailable(f"{failure}; {error}") if failure else error from None
        self._confirmed = confirmed
        return Loaded(self._snapshot, self.saved.age_s(), failure)

    def _read(self) -> None:
        sha256 = self.saved.sha256()
        if sha256 != self._sha256:
            self._snapshot = DirectorySnapshot.load(self.saved)
            self._sha256 = sha256
