"""Snapshots of the lake's tables: files, watermarks, versions and errors."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from log_tools import DAY_S, Shop, event
from table_tools import LOG, SECOND, compacted, folder

from etl import lake
from etl.lake import commits
from etl.lake import snapshot as snapshot_module
from etl.lake.errors import LakeError, VersionNotFound
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def test_a_table_that_is_not_there_is_an_empty_snapshot(tmp_path):
    """Without version, files or watermarks."""
    snapshot = Snapshot.load(tmp_path / "none", EVENTS)
    assert (snapshot.version, snapshot.files, snapshot.watermark("h")) == (None, (), 0)
    with pytest.raises(VersionNotFound):
        Snapshot.load(tmp_path / "none", EVENTS, 0)


def test_files_and_watermarks_are_those_of_the_version(shop):
    """An older version has its own."""
    compacted(shop)
    shop.seal(event(2 * DAY_S))
    shop.compact()
    versions = [Snapshot.load(folder(shop), EVENTS, version) for version in (0, 1, 2)]
    assert [len(item.files) for item in versions] == [0, 2, 3]
    assert [item.watermark("h-w0-aa") for item in versions] == [0, 1, 2]
    assert [item.watermark("h-w1-aa") for item in versions] == [0, 1, 1]
    newest = Snapshot.load(folder(shop), EVENTS)
    assert newest.version == 2
    assert [Path(name).parent.name for name in newest.files_since("2026-11-24")] == [
        "event_date=2026-11-24",
        "event_date=2026-11-25",
    ]
    assert newest.files_since("2026-11-26") == []


def test_a_watermark_is_read_once_from_the_log(shop):
    """A compaction asks for those of each series again and again."""
    compacted(shop)
    snapshot = Snapshot.load(folder(shop), EVENTS)
    assert snapshot.watermark("h-w0-aa") == 1
    for path in (folder(shop) / LOG).iterdir():
        path.unlink()
    assert snapshot.watermark("h-w0-aa") == 1
    with pytest.raises(LakeError):
        snapshot.lines("h-w0-aa")


@pytest.mark.parametrize("version", [2, 10**15, 2**70, -1])
def test_a_version_out_of_reach_is_told_at_once(shop, version):
    """delta-rs would look for each version on the way there."""
    compacted(shop)
    with pytest.raises(VersionNotFound):
        Snapshot.load(folder(shop), EVENTS, version)


def test_a_log_that_cannot_be_read_is_an_error_of_the_lake(shop):
    """Whatever version is asked for."""
    compacted(shop)
    (folder(shop) / LOG / SECOND).write_bytes(b"{")
    with pytest.raises(LakeError):
        Snapshot.load(folder(shop), EVENTS)


def test_errors_are_one_line_without_colours(shop, monkeypatch):
    """Whatever delta-rs makes of them."""
    shop.layout.prepare()
    commits.open_or_create(LocalTable(folder(shop), EVENTS))

    def failing(*_, **__):
        raise DeltaError("cannot write\n  \x1b[31m\u21b3\x1b[0m the disk is full\n")

    monkeypatch.setattr(snapshot_module, "DeltaTable", failing)
    with pytest.raises(LakeError) as caught:
        Snapshot.load(folder(shop), EVENTS)
    assert str(caught.value).endswith("cannot write \u21b3 the disk is full")


def test_connect_is_the_way_in(shop):
    """A connection with the live view, now or at a version."""
    compacted(shop)
    shop.seal(event(9))
    count = "SELECT count(*) FROM events"
    with lake.connect(shop.data) as con:
        assert con.execute(count).fetchone() == (4,)
    with lake.connect(str(shop.data), version=1) as con:
        assert con.execute(count).fetchone() == (3,)


def test_partitions_are_days(shop):
    """Other engines prune by them."""
    compacted(shop)
    days = {path.name for path in folder(shop).glob("event_date=*")}
    assert days == {"event_date=2026-11-23", "event_date=2026-11-24"}
    for path in folder(shop).rglob("*.parquet"):
        assert "event_date" not in pq.read_schema(path).names
    day = [("event_date", "=", date(2026, 11, 24))]
    table = DeltaTable(folder(shop)).to_pyarrow_table(filters=day)
    assert table["event_date"].to_pylist() == [date(2026, 11, 24)]
