"""The directory's database, from the settings."""

from __future__ import annotations

from etl.directory.database import DirectoryDatabase
from service.processes.directory_source import DirectorySource
from service.settings import Settings


def directory_source(settings: Settings) -> DirectorySource:
    """Return where the directory is read from."""
    return DirectorySource(
        settings.directory_url_or_default,
        settings.directory_tenants_query or None,
        settings.directory_products_query or None,
    )


def database(settings: Settings) -> DirectoryDatabase:
    """Return the directory's database. Raises DirectoryUnavailable."""
    return directory_source(settings).open()
