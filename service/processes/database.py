"""The directory's database and its last snapshot, from the settings."""

from __future__ import annotations

import logging

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable
from etl.directory.saved import SavedDirectory
from etl.layout import Layout
from service.processes.directory_source import DirectorySource
from service.settings import Settings

log = logging.getLogger(__name__)


def directory_source(settings: Settings) -> DirectorySource:
    """Return where the directory is read from."""
    return DirectorySource(
        settings.directory_url_or_default,
        settings.directory_tenants_query or None,
        settings.directory_products_query or None,
        Layout(settings.data.absolute()),
        settings.directory_refresh_s,
    )


def database(settings: Settings) -> DirectoryDatabase:
    """Return the directory's database. Raises DirectoryUnavailable."""
    return directory_source(settings).open()


def database_or_snapshot(settings: Settings) -> DirectoryDatabase | SavedDirectory:
    """Return the directory for a command that reads it once: the last snapshot of a lost server.

    Raises DirectoryUnavailable.
    """
    source = directory_source(settings)
    opened = source.open()
    saved = source.saved(opened)
    if saved is None:
        return opened
    try:
        opened.connect()
    except DirectoryUnavailable as error:
        if not saved.exists():
            raise
        fields = {"reason": str(error), "age_s": round(saved.age_s(), 1)}
        log.warning("the directory cannot be read; its last snapshot is", extra={"fields": fields})
        return saved
    return opened


def prepare(settings: Settings) -> None:
    """Create what the directory lacks, and see whether it can be read.

    A server that cannot be read is logged only: its last snapshot serves, or the processes wait for
    it. Raises DirectoryUnavailable for a file that cannot be read, and for a wrong URL.
    """
    source = directory_source(settings)
    opened = source.open()
    saved = source.saved(opened)
    try:
        opened.create_tables()
        if saved is None:
            opened.tenants()
        else:
            saved.refresh()
    except DirectoryUnavailable as error:
        if saved is None:
            raise
        log.error(
            "the directory cannot be read at the start", extra={"fields": {"why": str(error)}}
        )
    finally:
        opened.dispose()
