"""The lease of a lake in object storage: it saves work, and no job relies on it."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from log_tools import Shop, event
from object_tools import FolderObjects
from shared_lake_tools import Warehouse, bucket_of, pair

from etl.lake.errors import LakeTaken
from etl.lake.shared import lease
from etl.lake.shared.lease import NAME, Terms
from etl.object_store import ObjectMissing

PATIENCE_S = 60.0


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "bucket")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The log that all warehouses read."""
    return Shop(tmp_path / "log")


@pytest.fixture
def warehouses(tmp_path: Path, objects: FolderObjects, shop: Shop) -> tuple[Warehouse, Warehouse]:
    return pair(tmp_path, bucket_of(objects), shop)


def held_by(warehouse: Warehouse) -> dict[str, object] | None:
    """The content of the lease; None without one."""
    try:
        return dict(json.loads(warehouse.bucket.objects.get(NAME)))
    except ObjectMissing:
        return None


def test_one_warehouse_at_a_time_changes_the_lake(shop, warehouses, monkeypatch):
    """The others are refused until it ends, or until it has not been heard of for a while."""
    monkeypatch.setattr(lease, "_RENEWED_EVERY_S", PATIENCE_S)
    shop.seal(event(0))
    one, two = warehouses
    with one.lake.locked():
        with pytest.raises(LakeTaken, match="the warehouse on one changes the lake"):
            two.compact()
        one.bucket.objects.put(NAME, json.dumps({**(held_by(one) or {}), "for_s": 0}).encode())
        assert two.compact().rows == 1
    assert held_by(one) is None


def test_a_service_keeps_its_next_turn(shop, warehouses, tmp_path):
    """Another service stands by, and a command does not wait for it."""
    one, command = warehouses
    service = Terms(reserve_s=60.0, wait_s=0.0)
    first = Warehouse(tmp_path / "first", one.bucket, one.log, service)
    second = Warehouse(tmp_path / "second", one.bucket, one.log, service)
    shop.seal(event(0))
    first.compact()
    with pytest.raises(LakeTaken, match="the warehouse on first has the next turn"):
        second.compact()
    first.compact()
    command.compact()
    second.compact()


def test_a_job_renews_it_for_as_long_as_it_runs(warehouses, monkeypatch):
    """So a pass may take longer than the lease."""
    one, _ = warehouses
    monkeypatch.setattr(lease, "_RENEWED_EVERY_S", 0.01)
    deadline_s = time.monotonic() + PATIENCE_S
    with one.lake.locked():
        first = held_by(one)
        while (renewed := held_by(one)) in (first, None):  # a put does not replace in one step here
            assert time.monotonic() < deadline_s
            threading.Event().wait(0.01)
        assert renewed["id"] == "one"


def test_an_outage_ends_no_job(shop, warehouses, objects):
    """The lease expires by itself."""
    shop.seal(event(0))
    one, two = warehouses
    with ExitStack() as outage, one.lake.locked():
        outage.enter_context(objects.outage())
    assert held_by(one)["id"] == "one"
    with pytest.raises(LakeTaken):
        two.compact()
    one.compact()
    two.compact()


def test_a_lease_that_cannot_be_read_is_replaced(shop, warehouses, objects):
    """Nobody holds it."""
    one, _ = warehouses
    shop.seal(event(0))
    objects.put(NAME, b"torn")
    assert one.compact().rows == 1
    assert held_by(one) is None
