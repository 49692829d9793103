"""The lake of several machines in object storage.

    <lake>/<table>/_delta_log/…, event_date=<day>/…     as in the folder `lake` of a data folder
    <lake>/format.json                                  the newest format that was written to it
    <lake>/compactor                                    see `etl.lake.shared.lease`
    <lake>/log                                          see `etl.log.warehouse_claim`

delta-rs commits to it. All else reads copies in the data folder's `lake`, so DuckDB and every job
work on files, as with a lake on one machine. The copies may be deleted at any time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from etl import lake_copies
from etl.lake.errors import LakeError, LakeUnavailable
from etl.lake.period import ALWAYS, Period
from etl.lake.shared.downloads import Downloads
from etl.lake.shared.file_cache import Room
from etl.lake.shared.lease import Lease
from etl.lake.shared.table import Bucket, SharedTable
from etl.lake.snapshot import Snapshot
from etl.lake.store import alone_here
from etl.lake.table_store import TableStore, name_of
from etl.lake.tables import TABLES, Table
from etl.layout import FORMAT, DataFolderError, Layout
from etl.log.store import NotTheWarehouse
from etl.log.warehouse_claim import WarehouseClaim
from etl.object_store import ObjectMissing, ObjectStoreError

_FORMAT_FILE = "format.json"
_EVICTED_EVERY_S = 60.0


class SharedLake:
    """The lake store (see `etl.lake.store`) in object storage. Threads may share it."""

    def __init__(  # noqa: PLR0913  (its lease and claim, passed in)
        self,
        bucket: Bucket,
        layout: Layout,
        lease: Lease,
        claim: WarehouseClaim,
        *,
        cache_bytes_max: int,
        disk_free_bytes_min: int,
    ) -> None:
        """Keep copies of the lake in `bucket` in a data folder, up to about `cache_bytes_max`.

        The copies of its files leave twice `disk_free_bytes_min` free on the disk. `claim` is that
        of the log which is compacted into the lake.
        """
        self._bucket, self._layout = bucket, layout
        self._lease, self._claim = lease, claim
        folders = [layout.table(table.name) for table in TABLES]
        self._room = Room(layout.lake, folders, cache_bytes_max, disk_free_bytes_min)
        self._downloads = Downloads(bucket.objects, layout.downloads)
        self._tables = {
            table.name: SharedTable(
                bucket,
                self._downloads,
                layout.table(table.name),
                table,
                self._room,
            )
            for table in TABLES
        }
        self._is_known = False
        self._evicts_at_s = 0.0

    @contextmanager
    def locked(self) -> Iterator[None]:
        with alone_here(self._layout):
            self._begin()  # first: another lake takes no turn, and no file of it is a copy
            try:
                with self._lease.held():
                    self._mark()
                    yield
            finally:
                self._evict()

    def table(self, table: Table) -> TableStore:
        self._begin()
        return self._tables[table.name]

    def load(self, table: Table, version: int | None = None) -> Snapshot:
        self._begin()
        return self._tables[table.name].load(version)

    def newest(self) -> list[Snapshot]:
        self._begin()
        with ThreadPoolExecutor(len(TABLES)) as pool:
            snapshots = list(pool.map(lambda table: self._tables[table.name].load(), TABLES))
        self._evict()
        return snapshots

    def within(self, snapshot: Snapshot, period: Period, /) -> Snapshot:
        if period == ALWAYS:
            return snapshot
        held = {
            file.path for file in snapshot.listed() if period.may_hold(file.event_date, file.first)
        }
        files = tuple(file for file in snapshot.files if name_of(file) in held)
        return replace(snapshot, files=files)

    def versions_here(self) -> Mapping[str, int]:
        snapshots = self.newest()
        for snapshot in snapshots:
            snapshot.fetch()
            snapshot.fetch_keys(snapshot.files)
        return {item.table.name: item.version for item in snapshots if item.version is not None}

    def _evict(self) -> None:
        """Delete copies that are too many, now and then: it looks at each of them."""
        now_s = time.monotonic()
        if now_s < self._evicts_at_s:
            return
        self._evicts_at_s = now_s + _EVICTED_EVERY_S
        self._room.evict()

    def _begin(self) -> None:
        """Before the first use, refuse a newer format and the lake of another log.

        Also clear what a killed process has left. A lake that no log has claimed stays unknown.
        """
        if not self._is_known:
            self._read_format()
            with _errors():
                is_claimed = self._claim.is_made()
            try:
                lake_copies.mark(self._layout, self._bucket.url)
            except (DataFolderError, OSError) as error:
                raise LakeError(str(error)) from error
            self._downloads.sweep()
            self._is_known = is_claimed

    def _mark(self) -> None:
        """Mark the lake with its log, and with the format that is written from now on.

        The first claim requires that the storage knows conditional puts: commits rely on them too.
        """
        with _errors():
            self._claim.win()
        content = json.dumps({"format": FORMAT}).encode() + b"\n"
        if self._read_format() != FORMAT:
            with _errors():
                self._bucket.objects.put(_FORMAT_FILE, content)

    def _read_format(self) -> int | None:
        """Return the format of the lake; None before the first commit. Raises LakeError."""
        where = f"{self._bucket.objects.name}/{_FORMAT_FILE}"
        try:
            with _errors():
                written = json.loads(self._bucket.objects.get(_FORMAT_FILE))["format"]
        except ObjectMissing:
            return None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise LakeError(f'{where} holds no format; put {{"format": {FORMAT}}}') from error
        if type(written) is not int or written > FORMAT:
            raise LakeError(
                f"{where}: written by a newer beaconlog (format {written}); this one reads up to "
                f"{FORMAT}: upgrade"
            )
        return written


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ObjectStoreError as error:
        raise LakeUnavailable(f"the lake cannot be used: {error}") from error
    except NotTheWarehouse as error:
        raise LakeError(str(error)) from error
