"""A bucket that is a folder, and warehouses with data folders of their own that share its lake."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from log_tools import Shop, ids
from object_tools import FolderObjects

from etl.lake import compaction
from etl.lake.compaction import CompactionPlan, CompactionResult
from etl.lake.live.view import LiveView
from etl.lake.shared.lake import SharedLake
from etl.lake.shared.lease import Lease, Terms
from etl.lake.shared.table import Bucket
from etl.log.store import LocalLog, SegmentStore
from etl.log.warehouse_claim import LOG, WarehouseClaim

ONCE = CompactionPlan(wait_s=0.0, segment_grace_s=0.0)


def bucket_of(objects: FolderObjects) -> Bucket:
    """The lake of a bucket; delta-rs and obstore both take a folder for one."""
    return Bucket(objects, objects, str(objects.folder), {})


@dataclass
class Warehouse:
    """One machine: it reads the log at `log`, and compacts it into the lake of the bucket."""

    data: Path
    bucket: Bucket
    log: SegmentStore
    terms: Terms = field(default_factory=lambda: Terms(wait_s=0.0))
    cache_bytes_max: int = 1 << 30
    disk_free_bytes_min: int = 0
    log_name: bytes = b"the log of all"
    lake: SharedLake = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Shop(self.data).layout
        self.layout.prepare()
        lease = Lease(self.bucket.objects, lambda: self.data.name, self.data.name, self.terms)
        self.lake = SharedLake(
            self.bucket,
            self.layout,
            lease,
            WarehouseClaim(self.bucket.objects, lambda: self.log_name, LOG),
            cache_bytes_max=self.cache_bytes_max,
            disk_free_bytes_min=self.disk_free_bytes_min,
        )

    def compact(self, plan: CompactionPlan = ONCE, *, after_s: float = 0.0) -> CompactionResult:
        return compaction.run(self.data, plan, time.time() + after_s, self.log, self.lake)

    def view(self) -> LiveView:
        return LiveView(self.data, store=self.log, lake=self.lake)

    def query(self, sql: str, **scope: object) -> list[tuple[object, ...]]:
        with closing(self.view().connect(**scope)) as con:  # type: ignore[arg-type]
            return con.execute(sql).fetchall()

    def event_ids(self) -> list[str]:
        return ids(self.view())

    def copies(self, pattern: str = "events/event_date=*/*.parquet") -> list[str]:
        return sorted(path.name for path in self.layout.lake.glob(pattern))


def pair(folder: Path, bucket: Bucket, shop: Shop) -> tuple[Warehouse, Warehouse]:
    """Two machines, with data folders in `folder`, that compact the log of a shop."""
    log = LocalLog.of(shop.layout)
    return Warehouse(folder / "one", bucket, log), Warehouse(folder / "two", bucket, log)
