"""The Delta log after a power cut: torn entries are set aside."""

import os

import pytest
from deltalake import DeltaTable
from log_tools import DAY_S, Shop, event, rejection
from table_tools import FIRST, LOG, SECOND, compacted, folder, held

from etl import durable
from etl.lake import commits, delta_log
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS, REJECTED


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def line_ends(data: bytes) -> list[int]:
    return [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]


def test_a_whole_log_is_left_alone(shop):
    """There is nothing to repair in a log, nor where there is none."""
    assert delta_log.repair(folder(shop)) == []
    compacted(shop)
    DeltaTable(folder(shop)).create_checkpoint()
    before = sorted(os.listdir(folder(shop) / LOG))
    assert delta_log.repair(folder(shop)) == []
    assert sorted(os.listdir(folder(shop) / LOG)) == before


@pytest.mark.parametrize("name", ["events", "rejected"])
@pytest.mark.parametrize("commit", [FIRST, SECOND])
def test_a_newest_commit_cut_at_any_byte_is_set_aside(shop, monkeypatch, name, commit):
    """Also between two lines, where all that is left is valid: adds without their watermarks."""
    monkeypatch.setattr(durable, "fsync_path", lambda path: None)
    compacted(shop)
    log_folder = folder(shop, name) / LOG
    for later in sorted(log_folder.glob("*.json")):
        if later.name > commit:
            later.unlink()
    path = log_folder / commit
    data = path.read_bytes()
    for size in range(len(data.rstrip(b"\n"))):
        path.write_bytes(data[:size])
        assert delta_log.repair(folder(shop, name)) == [commit], size
        assert not path.exists()
    path.write_bytes(data)
    assert delta_log.repair(folder(shop, name)) == []


@pytest.mark.parametrize("name", ["events", "rejected"])
@pytest.mark.parametrize("commit", [FIRST, SECOND])
@pytest.mark.parametrize("cut", ["empty", "first line", "last line", "middle", "zeros"])
def test_after_a_torn_commit_the_compaction_runs_again(shop, name, commit, cut):
    """With exact counts: the segments are still there. The torn bytes are kept."""
    shop.layout.prepare()
    if commit == FIRST:
        table = {"events": EVENTS, "rejected": REJECTED}[name]
        commits.open_or_create(LocalTable(folder(shop, name), table))
        for number in (0, 1, DAY_S):
            shop.seal(event(number))
        shop.seal(rejection(2))
    else:
        compacted(shop)
    path = folder(shop, name) / LOG / commit
    data = path.read_bytes()
    ends = line_ends(data)
    path.write_bytes(
        {
            "empty": b"",
            "first line": data[: ends[0]],
            "last line": data[: ends[-1]] if ends[-1] < len(data) else data[: ends[-2]],
            "middle": data[: len(data) // 2],
            "zeros": bytes(len(data)),
        }[cut]
    )
    assert shop.compact().stopped == []
    assert held(shop) == ["e0", "e1", "e86400"]
    rejected = DeltaTable(folder(shop, "rejected")).to_pyarrow_table()
    assert rejected.num_rows == 1
    assert path.with_name(f"{commit}.broken").exists()
    assert shop.event_ids() == ["e0", "e1", "e86400"]


@pytest.mark.parametrize("cut", ["empty", "half", "zeros", "hole", "footer only"])
def test_after_a_torn_checkpoint_the_commits_serve(shop, cut):
    """It repeats what they say, so it is set aside and nothing runs again."""
    compacted(shop)
    DeltaTable(folder(shop)).create_checkpoint()
    (path,) = (folder(shop) / LOG).glob("*.checkpoint.parquet")
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(
        {
            "empty": b"",
            "half": data[:half],
            "zeros": bytes(len(data)),
            "hole": data[:4] + bytes(half - 4) + data[half:],
            "footer only": data[-8:],
        }[cut]
    )
    shop.seal(event(5))
    assert shop.compact().rows == 1
    assert held(shop) == ["e0", "e1", "e5", "e86400"]
    assert path.with_name(path.name + ".broken").exists()
    assert not (folder(shop) / LOG / "_last_checkpoint").exists()


@pytest.mark.parametrize("content", [b"", b'{"version":', b"\0" * 60])
def test_after_a_torn_pointer_to_the_checkpoint_the_log_is_read(shop, content):
    """Readers find the checkpoint, or the commits, without it."""
    compacted(shop)
    DeltaTable(folder(shop)).create_checkpoint()
    (folder(shop) / LOG / "_last_checkpoint").write_bytes(content)
    shop.seal(event(5))
    shop.compact()
    assert held(shop) == ["e0", "e1", "e5", "e86400"]


def test_a_torn_commit_takes_its_checkpoint_along(shop):
    """However whole that is, it is not read without the commit."""
    compacted(shop)
    DeltaTable(folder(shop)).create_checkpoint()
    (folder(shop) / LOG / SECOND).write_bytes(b"")
    shop.seal(event(5))
    assert shop.compact().rows == 4
    assert held(shop) == ["e0", "e1", "e5", "e86400"]


def test_commits_of_other_writers_are_believed(shop):
    """They keep no books; what parses is whole."""
    compacted(shop)
    table = DeltaTable(folder(shop))
    table.optimize.compact()
    table.delete("event_id = 'e1'")
    assert delta_log.repair(folder(shop)) == []
    assert held(shop) == ["e0", "e86400"]
    assert [version for version, _ in delta_log.books(folder(shop))] == [1]
    shop.seal(event(7))
    shop.compact()
    assert held(shop) == ["e0", "e7", "e86400"]


@pytest.mark.parametrize("damage", ["torn", "missing"])
def test_all_commits_of_a_torn_vacuum_are_set_aside(shop, damage):
    """It makes two, and a power cut may have kept the second of them alone."""
    shop.seal(event(1))
    shop.compact()
    folder = shop.layout.table("events")
    before = Snapshot.load(folder, EVENTS)
    delta = DeltaTable(folder)
    for _ in range(2):
        delta.create_write_transaction([], "append", EVENTS.arrow_schema, ["event_date"])
        delta.update_incremental()
    first, second = sorted((folder / "_delta_log").glob("*.json"))[-2:]
    if damage == "torn":
        first.write_bytes(first.read_bytes()[:-5])
    else:
        first.unlink()
    set_aside = delta_log.repair(folder)
    assert second.name in set_aside
    assert not second.exists()
    assert Snapshot.load(folder, EVENTS).version == before.version
    shop.seal(event(2))
    assert shop.compact().rows == 1


def test_a_damaged_older_commit_is_not_a_torn_one(shop):
    """It was synced and its segments may be deleted: those after it are no less needed."""
    for number in range(4):
        shop.seal(event(number))
        shop.compact()
    log_folder = folder(shop) / LOG
    newest = sorted(log_folder.glob("*.json"))
    newest[-3].write_bytes(newest[-3].read_bytes()[:-5])
    assert delta_log.repair(folder(shop)) == []
    assert sorted(log_folder.glob("*.json")) == newest
