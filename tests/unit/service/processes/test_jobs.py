"""The warehouse's job that refreshes the saved directory of a server."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from saved_directories import Folder

from service.processes.jobs import DirectoryJob


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_directory_that_was_never_read_makes_reports_not_ready(folder):
    """With the reason, once it is known; after the first reading an outage does not."""
    job = DirectoryJob(folder.saved)
    assert job.why_not_ready() == ["the directory was not read yet"]
    database = folder.lose_database()
    job.run()
    assert ["server.db" in reason for reason in job.why_not_ready()] == [True]
    assert job.ages_s() == {}
    database.rename(folder.file)
    job.run()
    folder.lose_database()
    folder.clock.now_s += 60.0
    job.run()
    assert (job.why_not_ready(), job.ages_s()) == ([], {"directory_age_s": 60.0})
    assert job.why_degraded() == ["the directory could not be refreshed"]


def test_an_outage_is_logged_once(folder, caplog):
    """The next one is logged again."""
    job = DirectoryJob(folder.saved)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            database = folder.lose_database()
            for _ in range(3):
                folder.clock.now_s += 60.0
                job.run()
            database.rename(folder.file)
            job.run()
    assert job.why_degraded() == []
    logged = "the directory could not be refreshed; the last snapshot still serves"
    assert [record.message for record in caplog.records] == [logged] * 2


def test_a_directory_in_a_file_needs_no_job():
    """It is read where it lies."""
    job = DirectoryJob(None)
    job.run()
    assert (job.why_not_ready(), job.ages_s()) == ([], {})
