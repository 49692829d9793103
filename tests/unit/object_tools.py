"""Object storage in memory, machines that ship to it, and a warehouse that reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from log_tools import Shop, ids
from obstore.store import LocalStore, MemoryStore

from etl.lake import compaction
from etl.lake.compaction import CompactionPlan, CompactionResult
from etl.lake.live.view import LiveView
from etl.log.shared_log import SharedLog
from etl.log.shipping import Round, Shipper
from etl.object_store import Listed, ObjectStore, ObjectStoreError

URL = "s3://bucket/log"


class Objects(ObjectStore):
    """Real objects of obstore, in memory, and an outage on demand."""

    def __init__(self, client: object = None) -> None:
        super().__init__(client or MemoryStore(), URL)
        self.refused: set[str] = set()

    @contextmanager
    def outage(self, *calls: str) -> Iterator[None]:
        """Let these calls fail; all of them by default."""
        self.refused = set(calls or ("put", "put_new", "get", "size_bytes", "listed", "delete"))
        try:
            yield
        finally:
            self.refused = set()

    def _refuse(self, call: str) -> None:
        if call in self.refused:
            raise ObjectStoreError(f"{URL}: the server does not answer")

    def put_new(self, key: str, data: bytes) -> None:
        self._refuse("put_new")
        super().put_new(key, data)

    def put(self, key: str, data: bytes) -> None:
        self._refuse("put")
        super().put(key, data)

    def get(self, key: str) -> bytes:
        self._refuse("get")
        return super().get(key)

    def size_bytes(self, key: str) -> int:
        self._refuse("size_bytes")
        return super().size_bytes(key)

    def listed(self, below: str = "", after: str = "") -> list[Listed]:
        self._refuse("listed")
        return super().listed(below, after)

    def delete(self, keys: Sequence[str]) -> None:
        self._refuse("delete")
        super().delete(keys)

    def names(self) -> list[str]:
        return [item.key for item in super().listed()]


class FolderObjects(Objects):
    """The same in a folder, which is a bucket for delta-rs too."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(LocalStore(folder))
        self.folder = folder

    def delete(self, keys: Sequence[str]) -> None:
        super().delete([key for key in keys if (self.folder / key).exists()])


@dataclass
class Machine:
    """A data folder whose segments are shipped; `now_s` is its monotonic time."""

    shop: Shop
    objects: ObjectStore
    grace_s: float = 900.0
    now_s: float = 0.0
    _shipper: Shipper = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with a shipper that remembers nothing."""
        self.shop.layout.prepare()
        self._shipper = Shipper(
            self.shop.layout, self.objects, grace_s=self.grace_s, monotonic_s=lambda: self.now_s
        )

    def ship(self, after_s: float = 2.0) -> Round:
        """One round, after some time."""
        self.now_s += after_s
        return self._shipper.round()


@dataclass
class Warehouse:
    """A data folder whose lake is filled from object storage."""

    data: Path
    objects: ObjectStore
    log: SharedLog = field(init=False)

    def __post_init__(self) -> None:
        shop = Shop(self.data)
        shop.layout.prepare()
        self.log = SharedLog(self.objects, shop.layout)

    def compact(
        self, plan: CompactionPlan | None = None, *, after_s: float = 0.0
    ) -> CompactionResult:
        chosen = plan or CompactionPlan(wait_s=0.0)
        return compaction.run(self.data, chosen, time.time() + after_s, self.log)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with LiveView(self.data, store=self.log).connect() as con:
            return con.execute(sql).fetchall()

    def event_ids(self) -> list[str]:
        return ids(LiveView(self.data, store=self.log))
