"""The source from which a process reads the directory."""

from __future__ import annotations

from dataclasses import dataclass

from etl.directory.database import DirectoryDatabase


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A database by its URL. Without a query, the table `tenants` or `products` is read."""

    url: str
    tenants_query: str | None
    products_query: str | None

    def open(self) -> DirectoryDatabase:
        """Return the database. Raises DirectoryUnavailable."""
        return DirectoryDatabase(
            self.url, tenants_query=self.tenants_query, products_query=self.products_query
        )
