"""The directory's database that the settings name."""

from __future__ import annotations

from etl.directory.database import DirectoryDatabase
from service.settings import Settings


def database(settings: Settings) -> DirectoryDatabase:
    """Return the directory's database by the settings. Raises DirectoryUnavailable."""
    return DirectoryDatabase(
        settings.directory_url_or_default,
        tenants_query=settings.directory_tenants_query or None,
        products_query=settings.directory_products_query or None,
    )
