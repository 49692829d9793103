"""The source from which a process reads the directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl.directory.database import DirectoryDatabase
from etl.directory.saved import SavedDirectory
from etl.layout import Layout

if TYPE_CHECKING:
    from service.collector.directory.directory import Directory

_READS_PER_REFRESH = 4
WAREHOUSE_REFRESHES_AT, COLLECTORS_REFRESH_AT = 5 / 8, 7 / 8
"""The age of a snapshot at which a process refreshes it, in parts of `refresh_s`.

The warehouse is the first, because a refresh takes processor time from a collector's requests.
"""


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A database by its URL. Without a query, the table `tenants` or `products` is read.

    If it is a server, `layout` has its last snapshot, which is refreshed every `refresh_s`.
    """

    url: str
    tenants_query: str | None
    products_query: str | None
    layout: Layout
    refresh_s: float

    def open(self) -> DirectoryDatabase:
        """Return the database. Raises DirectoryUnavailable."""
        return DirectoryDatabase(
            self.url, tenants_query=self.tenants_query, products_query=self.products_query
        )

    def saved(
        self, database: DirectoryDatabase, refreshed_at: float = COLLECTORS_REFRESH_AT
    ) -> SavedDirectory | None:
        """Return the last snapshot of a server; None for a file, which needs none."""
        if not database.is_server:
            return None
        max_age_s = refreshed_at * self.refresh_s
        return SavedDirectory(self.layout, database, max_age_s=max_age_s)

    def in_memory(self) -> Directory:
        """Return the directory of a collector, not started. Raises DirectoryUnavailable."""
        # Imported here: a command needs no event loop.
        from service.collector.directory.directory import Directory  # noqa: PLC0415

        database = self.open()
        saved = self.saved(database)
        refresh_s = self.refresh_s if saved is None else self.read_every_s
        return Directory(database, saved, refresh_s=refresh_s)

    @property
    def read_every_s(self) -> float:
        """The seconds between two readings of the snapshot by a process."""
        return self.refresh_s / _READS_PER_REFRESH
