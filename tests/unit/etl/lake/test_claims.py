"""Log and lake in object storage name each other, by puts that never replace an object."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_tools import Shop, event
from object_tools import FolderObjects, Objects
from object_tools import Warehouse as LogWarehouse
from shared_lake_tools import Warehouse

from etl.lake.errors import LakeUnavailable
from etl.lake.shared.table import Bucket
from etl.log.store import LocalLog, LogUnavailable


class Careless(FolderObjects):
    """A store that ignores If-None-Match, as some that speak S3 do."""

    def put_new(self, key: str, data: bytes) -> None:
        self.put(key, data)


class CarelessLog(Objects):
    """The same for a log."""

    put_new = Careless.put_new


def test_a_lake_whose_store_replaces_objects_is_not_changed(tmp_path: Path) -> None:
    """Of two commits of one version, the second would replace the first."""
    objects = Careless(tmp_path / "bucket")
    bucket = Bucket(objects, objects, str(tmp_path / "bucket"), {})
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
