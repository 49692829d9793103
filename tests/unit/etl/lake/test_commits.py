"""Commits to the lake's tables, and their durability."""

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from log_tools import Shop, event
from table_tools import FIRST, LOG, SECOND, compacted, folder, held

from etl import durable
from etl.lake import commits, table_store
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def test_a_table_is_made_once(shop):
    """With its columns, partitioned by the day of receipt."""
    shop.layout.prepare()
    made = commits.open_or_create(LocalTable(folder(shop), EVENTS))
    again = commits.open_or_create(LocalTable(folder(shop), EVENTS))
    assert made.version == again.version == 0
    assert again.delta.metadata().partition_columns == ["event_date"]
    assert [field.name for field in again.delta.schema().fields] == list(EVENTS.stored)


def test_a_commit_needs_a_table(shop):
    """A snapshot of nothing is not committed to."""
    missing = Snapshot.load(folder(shop), EVENTS)
    with pytest.raises(LakeError):
        commits.commit(missing, [], {}, {})


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
    commits.open_or_create(LocalTable(folder(shop), EVENTS))
    assert synced == [FIRST, LOG, "events", "lake"]


def test_a_commit_is_durable_when_it_returns(shop, synced):
    """Also the checkpoint that delta-rs writes now and then."""
    shop.layout.prepare()
    snapshot = commits.open_or_create(LocalTable(folder(shop), EVENTS))
    synced.clear()
    assert commits.commit(snapshot, [], {"h": 1}, {"lines": 0}) == 1
    assert synced == [SECOND, LOG]


def test_checkpoints_are_made_and_synced(shop, synced, monkeypatch):
    """They are part of what a reader relies on."""
    monkeypatch.setattr(table_store, "_CONFIGURATION", {"delta.checkpointInterval": "2"})
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
    commits.open_or_create(LocalTable(folder(shop), EVENTS))
    checkpoint = "00000000000000000001.checkpoint.parquet"
    assert set(synced[:4]) == {FIRST, SECOND, checkpoint, "_last_checkpoint"}
    assert synced[4:] == [LOG, "events", "lake"]
