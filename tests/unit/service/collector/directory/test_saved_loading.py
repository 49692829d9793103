"""A collector's directory from the saved snapshot of a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from saved_directories import SHOP, Folder

from etl.directory.entries import DirectoryUnavailable, Tenant
from service.collector.directory.directory import MISS, Directory

NEW = Tenant(4, None, "new", "New", "active")
REFRESH_NEVER_S = 1e6


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def run(folder: Folder, scenario: Callable[[Directory], Awaitable[None]]) -> None:
    """Run a scenario over a started directory, which only refreshes when told to."""

    async def started() -> None:
        directory = Directory(
            folder.database, folder.saved, refresh_s=REFRESH_NEVER_S, monotonic_s=folder.clock
        )
        try:
            await directory.start()
            await scenario(directory)
        finally:
            await directory.stop()

    asyncio.run(started())


def test_a_start_without_the_database_serves_the_last_snapshot(folder, caplog):
    """It says so, and how old that is; only a miss needs the database."""
    folder.saved.refresh()
    folder.lose_database()
    folder.clock.now_s += 600.0

    async def scenario(directory):
        assert directory.peek_tenant(1) == SHOP
        assert directory.peek_product(1, 7) is True
        assert directory.ages_s() == {"directory_age_s": 600.0}
        assert directory.why_degraded() == ["the directory could not be refreshed"]
        with pytest.raises(DirectoryUnavailable):
            await directory.tenant(4)

    with caplog.at_level(logging.WARNING):
        run(folder, scenario)
    assert [record.fields["age_s"] for record in caplog.records] == [600.0]


@pytest.mark.parametrize("content", [None, b"rubbish"])
def test_a_start_with_neither_says_why(folder, content):
    """The fault of the database, and that of the file."""
    if content is not None:
        folder.snapshot.write_bytes(content)
    folder.lose_database()

    async def scenario(_: Directory) -> None:
        pytest.fail("it started")

    why = r"server\.db \(sqlite\): the file does not exist; .*(never read|damaged)"
    with pytest.raises(DirectoryUnavailable, match=why):
        run(folder, scenario)


def test_what_was_looked_up_lasts_through_an_outage(folder):
    """A tenant that was accepted a moment ago is not refused because the database is away."""

    async def scenario(directory):
        folder.database.upsert([NEW], [])
        assert await directory.tenant(4) == NEW
        folder.lose_database()
        folder.clock.now_s += 60.0
        for _ in range(3):
            await directory.refresh()
        assert directory.peek_tenant(4) == NEW
        assert directory.age_s() == 60.0

    run(folder, scenario)


def test_what_another_process_read_is_taken_over(folder):
    """Without the database; of an unchanged directory only the age."""

    async def scenario(directory):
        before = directory._view.snapshot
        folder.clock.now_s += 60.0
        folder.another(folder.database).refresh()
        await directory.refresh()
        assert directory.age_s() == 0.0
        assert directory._view.snapshot is before
        folder.close(SHOP)
        folder.clock.now_s += 60.0
        folder.another(folder.database).refresh()
        folder.lose_database()
        await directory.refresh()
        assert directory.peek_tenant(1) is MISS

    run(folder, scenario)


def test_a_file_that_is_damaged_later_changes_nothing(folder):
    """Neither while the database is away nor afterwards, when it is written again."""

    async def scenario(directory):
        folder.snapshot.write_bytes(b"rubbish")
        database = folder.lose_database()
        await directory.refresh()
        assert directory.peek_tenant(1) == SHOP
        database.rename(folder.file)
        await directory.refresh()
        assert directory.peek_tenant(1) == SHOP
        assert folder.saved.sha256()
        assert directory.why_degraded() == []

    run(folder, scenario)
