"""Who refreshes the saved directory of a server, and when."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from etl.directory import snapshot_file
from etl.directory.entries import DirectoryUnavailable
from etl.layout import Layout
from service.processes.directory_source import (
    COLLECTORS_REFRESH_AT,
    WAREHOUSE_REFRESHES_AT,
    DirectorySource,
)

REFRESH_S = 8000.0
NOBODY_THERE = "postgresql://127.0.0.1:1/shop"


@pytest.mark.parametrize(
    ("age_s", "warehouse", "collectors"),
    [(4900.0, False, False), (6000.0, True, False), (7900.0, True, True)],
)
def test_the_warehouse_refreshes_first(tmp_path: Path, age_s, warehouse, collectors) -> None:
    """So collectors answer requests meanwhile; they do it where no warehouse does."""
    layout = Layout(tmp_path)
    source = DirectorySource(NOBODY_THERE, None, None, layout, REFRESH_S)
    database = source.open()
    snapshot_file.write(layout.directory_snapshot, database.identity, [], [])
    read_at_s = time.time() - age_s
    os.utime(layout.directory_snapshot, (read_at_s, read_at_s))

    def asks_the_database(refreshed_at: float) -> bool:
        try:
            source.saved(database, refreshed_at).refresh()
        except DirectoryUnavailable:
            return True
        return False

    assert asks_the_database(WAREHOUSE_REFRESHES_AT) is warehouse
    assert asks_the_database(COLLECTORS_REFRESH_AT) is collectors


def test_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    """It needs no snapshot."""
    source = DirectorySource(f"sqlite:///{tmp_path}/a.db", None, None, Layout(tmp_path), REFRESH_S)
    assert source.saved(source.open()) is None
