"""Deleting compacted segments: late enough, durably known, and never the newest that is written."""

import os
from pathlib import Path

import pytest
from log_tools import Shop, event, rejection

from etl import durable
from etl.lake import commits, expiry
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot
from etl.lake.store import LocalLake
from etl.lake.tables import TABLES
from etl.log.store import LocalLog

OLD_S, YOUNG_S, NOW_S = 1_000.0, 2_000.0, 3_000.0


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def snapshots(shop: Shop) -> list[Snapshot]:
    return [Snapshot.load(shop.layout.table(table.name), table) for table in TABLES]


def commit_times(shop: Shop, *times_s: float) -> None:
    """Let the commits of every table be as old as that, from version 0."""
    for table in TABLES:
        entries = sorted((shop.layout.table(table.name) / "_delta_log").glob("*.json"))
        for path, time_s in zip(entries, times_s, strict=True):
            os.utime(path, (time_s, time_s))


def delete(shop: Shop, before_s: float) -> int:
    return expiry.delete_compacted(
        LocalLake(shop.layout), LocalLog.of(shop.layout), snapshots(shop), before_s=before_s
    )


def numbers(shop: Shop, series: str = "h-w0-aa") -> list[int]:
    return [segment.number for segment in shop.sealed(series)]


def test_nothing_is_deleted_without_a_lake(shop):
    """A table that is not there holds nothing."""
    for number in range(3):
        shop.seal(event(number))
    assert delete(shop, NOW_S) == 0
    assert numbers(shop) == [1, 2, 3]


def test_a_segment_goes_when_its_commit_is_old_enough(shop):
    """Not when the newest one is: what a reader may have listed stays for the grace."""
    shop.seal(event(0))
    shop.seal(event(1), rejection(1))
    shop.compact()
    shop.seal(event(2))
    shop.compact()
    shop.seal(event(3))
    commit_times(shop, 0.0, OLD_S, YOUNG_S)
    assert delete(shop, OLD_S - 1) == 0
    assert delete(shop, OLD_S) == 2
    assert numbers(shop) == [3, 4]
    assert delete(shop, YOUNG_S) == 1
    assert numbers(shop) == [4]
    assert delete(shop, NOW_S) == 0


def test_the_newest_of_a_series_that_is_written_stays(shop):
    """A recovery tells by it where an open segment begins, however old it is."""
    for series in ("h-w0-aa", "h-w1-aa"):
        shop.seal(event(0), series=series)
        shop.seal(event(1), series=series)
    shop.compact()
    commit_times(shop, OLD_S, OLD_S)
    with shop.written("h-w0-aa"), shop.written("h-w1-aa"):
        assert delete(shop, NOW_S) == 2
    assert (numbers(shop), numbers(shop, "h-w1-aa")) == ([2], [2])


def test_a_series_that_nobody_writes_goes_with_its_folder(shop):
    """Not before all of it is old enough; numbering never goes on in it."""
    shop.seal(event(0))
    shop.seal(event(1), series="h-w1-aa")
    shop.compact()
    shop.seal(event(2), series="h-w1-aa")
    shop.compact()
    commit_times(shop, 0.0, OLD_S, YOUNG_S)
    assert delete(shop, OLD_S) == 2
    assert sorted(path.name for path in shop.layout.log.iterdir()) == ["h-w1-aa", "lock"]
    assert delete(shop, YOUNG_S) == 1
    assert [path.name for path in shop.layout.log.iterdir()] == ["lock"]
    assert shop.event_ids() == ["e0", "e1", "e2"]


def test_a_series_that_never_held_a_line_goes_once_its_writer_is_gone(shop):
    """As when a worker is killed before its first event."""
    with shop.written():
        assert (delete(shop, NOW_S), shop.folder().exists()) == (0, True)
    assert (delete(shop, NOW_S), (shop.layout.log / "h-w0-aa").exists()) == (0, False)


def test_a_folder_that_is_a_link_stays(shop, tmp_path):
    """The target of a link lies elsewhere, and is not ours to delete."""
    shop.layout.prepare()
    shop.folder("elsewhere").rename(tmp_path / "elsewhere")
    (shop.layout.log / "linked").symlink_to(tmp_path / "elsewhere")
    delete(shop, NOW_S)
    assert (tmp_path / "elsewhere" / "series.json").exists()
    assert (shop.layout.log / "linked").is_symlink()


def test_what_one_table_does_not_hold_stays(shop, monkeypatch):
    """The smallest watermark of all tables counts."""
    commit = commits.commit
    for number in range(2):
        shop.seal(event(number), rejection(number))

    def only_events(snapshot, *arguments):
        if snapshot.table.name == "rejected":
            raise LakeError("not now")
        return commit(snapshot, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(commits, "commit", only_events)
        with pytest.raises(LakeError):
            shop.compact()
    assert delete(shop, 1e12) == 0
    shop.compact()
    assert delete(shop, 1e12) == 2


def test_other_files_of_a_series_stay(shop):
    """Bytes that recovery set aside are for people to look at."""
    shop.seal(event(0))
    shop.seal(event(1))
    for name in ("000000000001.broken", "000000000003.open"):
        (shop.folder() / name).write_bytes(b"kept")
    shop.compact()
    (shop.folder() / "000000000001.broken").write_bytes(b"kept")
    assert delete(shop, 1e12) == 2
    assert (shop.layout.log / "h-w0-aa" / "000000000001.broken").read_bytes() == b"kept"


def test_a_segment_that_is_gone_already_is_no_error(shop, monkeypatch):
    """Deleting may have been interrupted, and is made durable."""
    synced, fsync_path = [], durable.fsync_path
    for number in range(3):
        shop.seal(event(number))
    shop.compact()
    unlink = Path.unlink

    def twice(path, **given):
        unlink(path)
        unlink(path, **given)

    def noted(path):
        fsync_path(path)
        synced.append(path)

    monkeypatch.setattr(Path, "unlink", twice)
    monkeypatch.setattr(durable, "fsync_path", noted)
    with shop.written():
        assert delete(shop, 1e12) == 2
    assert synced == [shop.layout.log / "h-w0-aa"]
