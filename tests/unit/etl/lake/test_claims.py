"""Log and lake in object storage name each other, by puts that never replace an object."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_tools import Shop, event
from object_tools import FolderObjects, Objects
from object_tools import Warehouse as LogWarehouse
from shared_lake_tools import Warehouse, bucket_of

from etl.lake.errors import LakeError, LakeUnavailable
from etl.lake.opening import LakePlace, holder, open_lake
from etl.layout import DataFolderError, Layout
from etl.log.store import LocalLog, LogUnavailable
from etl.log.warehouse_claim import url_name


class Careless(FolderObjects):
    """A store that ignores If-None-Match, as some that speak S3 do."""

    def put_new(self, key: str, data: bytes) -> None:
        self.put(key, data)


class CarelessLog(Objects):
    """The same for a log."""

    put_new = Careless.put_new


def test_a_lake_whose_store_replaces_objects_is_not_changed(tmp_path: Path) -> None:
    """Of two commits of one version, the second would replace the first."""
    bucket = bucket_of(Careless(tmp_path / "bucket"))
    shop = Shop(tmp_path / "log")
    shop.seal(event(0))
    one = Warehouse(tmp_path / "one", bucket, LocalLog.of(shop.layout))
    for _ in range(2):
        with pytest.raises(LakeUnavailable, match="ignores If-None-Match"):
            one.compact()
    assert one.lake.newest()[0].version is None


def test_a_log_whose_store_replaces_objects_is_not_compacted(tmp_path: Path) -> None:
    """And no warehouse replaces the claim of another one."""
    objects = CarelessLog()
    with pytest.raises(LogUnavailable, match="ignores If-None-Match"):
        LogWarehouse(tmp_path / "one", objects).compact()
    claim = objects.get("warehouse")
    with pytest.raises(LogUnavailable, match="compacted by another warehouse"):
        LogWarehouse(tmp_path / "two", objects).compact()
    assert objects.get("warehouse") == claim


def test_the_lake_of_another_log_is_neither_read_nor_changed(tmp_path: Path) -> None:
    """Its warehouses would never compact or report the events of this log."""
    bucket = bucket_of(FolderObjects(tmp_path / "bucket"))
    for name in ("one", "two"):
        Shop(tmp_path / f"log of {name}").seal(event(0, event_id=name))
    logs = {name: LocalLog.of(Shop(tmp_path / f"log of {name}").layout) for name in ("one", "two")}
    one = Warehouse(tmp_path / "one", bucket, logs["one"], log_name=b"one")
    two = Warehouse(tmp_path / "two", bucket, logs["two"], log_name=b"two")
    assert two.event_ids() == ["two"], "a lake that nobody has compacted into is nobody's"
    assert one.compact().rows == 1
    late = Warehouse(tmp_path / "late", bucket, logs["two"], log_name=b"two")
    message = "holds the events of another log; set log_url .* by mistake"
    for refused in (two.compact, two.event_ids, late.compact, late.event_ids):
        with pytest.raises(LakeError, match=message):
            refused()
    assert one.event_ids() == ["one"]
    bucket.objects.delete(["log"])
    late.compact()


def test_a_warehouse_with_another_log_is_refused_while_the_lake_is_changed(tmp_path: Path) -> None:
    """It is no standby: it is not ready, and takes no turn."""
    shop = Shop(tmp_path / "log")
    shop.seal(event(0))
    bucket, log = bucket_of(FolderObjects(tmp_path / "bucket")), LocalLog.of(shop.layout)
    one = Warehouse(tmp_path / "one", bucket, log, log_name=b"one")
    one.compact()
    two = Warehouse(tmp_path / "two", bucket, log, log_name=b"two")
    with one.lake.locked(), pytest.raises(LakeError, match="holds the events of another log"):
        two.compact()


def test_a_data_folder_with_a_damaged_id_takes_its_turns(tmp_path: Path) -> None:
    """Its id is compared, never read."""
    layout = Layout(tmp_path)
    layout.warehouse.write_bytes(b'{"id": \xff')
    assert holder(layout) == holder(layout)


def test_log_and_lake_that_overlap_are_refused(tmp_path: Path) -> None:
    """In a notebook too."""
    place = LakePlace("s3://shops/log/lake", log_url="s3://shops/log")
    with pytest.raises(DataFolderError, match="places of their own"):
        open_lake(Layout(tmp_path), place)


def test_the_name_of_a_log_is_its_url() -> None:
    """However its setting ends."""
    one, same, other = (url_name("log", f"s3://shops/{each}") for each in ("log/", "log", "log2"))
    assert one == same != other
