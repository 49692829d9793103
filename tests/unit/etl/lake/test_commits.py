"""The lake's tables: snapshots, durable commits, and what a power cut may do to the Delta log."""

import os
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from log_tools import DAY_S, Shop, event, rejection

from etl import durable, lake
from etl.lake import commits, delta_log
from etl.lake import snapshot as snapshot_module
from etl.lake.errors import LakeError, VersionNotFound
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS, REJECTED

LOG = delta_log.FOLDER
FIRST, SECOND = "00000000000000000000.json", "00000000000000000001.json"


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def folder(shop: Shop, name: str = "events") -> Path:
    return shop.layout.table(name)


def compacted(shop: Shop) -> None:
    """Two series, two days, both tables; and more in the log."""
    shop.seal(event(0), event(1), rejection(2))
    shop.seal(event(DAY_S), series="h-w1-aa")
    shop.compact()


def held(shop: Shop) -> list[str]:
    """The events that the lake itself holds."""
    return sorted(DeltaTable(folder(shop)).to_pyarrow_table()["event_id"].to_pylist())


# -- snapshots --------------------------------------------------------------------------------


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


@pytest.mark.parametrize("version", [2, 10**15, 2**70, -1])
def test_a_version_out_of_reach_is_told_at_once(shop, version):
    """delta-rs would look for each version on the way there."""
    compacted(shop)
    with pytest.raises(VersionNotFound):
        Snapshot.load(folder(shop), EVENTS, version)


def test_a_table_is_made_once(shop):
    """With its columns, partitioned by the day of receipt."""
    shop.layout.prepare()
    made = commits.open_or_create(folder(shop), EVENTS)
    again = commits.open_or_create(folder(shop), EVENTS)
    assert made.version == again.version == 0
    assert again.delta.metadata().partition_columns == ["event_date"]
    assert [field.name for field in again.delta.schema().fields] == list(EVENTS.columns)


def test_a_commit_needs_a_table(shop):
    """A snapshot of nothing is not committed to."""
    missing = Snapshot.load(folder(shop), EVENTS)
    with pytest.raises(LakeError):
        commits.commit(folder(shop), missing, [], {}, {})


def test_an_unknown_outcome_is_an_error_of_the_lake(shop, monkeypatch):
    """Only a conflict is known to have changed nothing."""
    shop.seal(event(0))

    def failing(*arguments, **named):
        raise DeltaError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", failing)
        with pytest.raises(LakeError, match="no answer"):
            shop.compact()
    assert shop.compact().rows == 1


def test_a_log_that_cannot_be_read_is_an_error_of_the_lake(shop):
    """Whatever version is asked for."""
    compacted(shop)
    (folder(shop) / LOG / SECOND).write_bytes(b"{")
    with pytest.raises(LakeError):
        Snapshot.load(folder(shop), EVENTS)


# -- durability -------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """The names that were synced, in order."""
    names, fsync_path = [], durable.fsync_path

    def noted(path):
        fsync_path(path)
        names.append(path.name)

    monkeypatch.setattr(durable, "fsync_path", noted)
    return names


def test_a_new_table_is_durable(shop, synced):
    """Its first commit, the log's folder, its own folder and that one's entry."""
    shop.layout.prepare()
    synced.clear()
    commits.open_or_create(folder(shop), EVENTS)
    assert synced == [FIRST, LOG, "events", "lake"]


def test_a_commit_is_durable_when_it_returns(shop, synced):
    """Also the checkpoint that delta-rs writes now and then."""
    shop.layout.prepare()
    snapshot = commits.open_or_create(folder(shop), EVENTS)
    synced.clear()
    assert commits.commit(folder(shop), snapshot, [], {"h": 1}, {"lines": 0}) == 1
    assert synced == [SECOND, LOG]


def test_checkpoints_are_made_and_synced(shop, synced, monkeypatch):
    """They are part of what a reader relies on."""
    monkeypatch.setattr(commits, "_CONFIGURATION", {"delta.checkpointInterval": "2"})
    for number in range(5):
        shop.seal(event(number))
        shop.compact()
    checkpoints = sorted(path.name for path in (folder(shop) / LOG).glob("*.checkpoint.parquet"))
    assert checkpoints
    assert {*checkpoints, "_last_checkpoint"} <= set(synced)
    assert held(shop) == [f"e{number}" for number in range(5)]


def test_the_newest_entry_is_synced_before_it_is_built_upon(shop, synced):
    """Whoever made it may have died before syncing it."""
    compacted(shop)
    DeltaTable(folder(shop)).create_checkpoint()
    synced.clear()
    commits.open_or_create(folder(shop), EVENTS)
    checkpoint = "00000000000000000001.checkpoint.parquet"
    assert set(synced[:4]) == {FIRST, SECOND, checkpoint, "_last_checkpoint"}
    assert synced[4:] == [LOG, "events", "lake"]


# -- after a power cut ------------------------------------------------------------------------


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
        commits.open_or_create(folder(shop, name), {"events": EVENTS, "rejected": REJECTED}[name])
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


# -- notebooks --------------------------------------------------------------------------------


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


def test_errors_are_one_line_without_colours(shop, monkeypatch):
    """Whatever delta-rs makes of them."""
    shop.layout.prepare()
    commits.open_or_create(folder(shop), EVENTS)

    def failing(*_, **__):
        raise DeltaError("cannot write\n  \x1b[31m\u21b3\x1b[0m the disk is full\n")

    monkeypatch.setattr(snapshot_module, "DeltaTable", failing)
    with pytest.raises(LakeError) as caught:
        Snapshot.load(folder(shop), EVENTS)
    assert str(caught.value).endswith("cannot write \u21b3 the disk is full")
