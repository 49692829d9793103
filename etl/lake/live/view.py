"""The live view: a lake snapshot and the log's tail above that snapshot's watermarks.

Segments are listed first, then the snapshot is loaded, and the watermarks come from that same
snapshot. A segment that was compacted or deleted in between is in the snapshot. So at any moment of
a compaction every sealed line is seen once. The tail passes through the same duplicate rule as
compaction. A connection shows one moment: its rows do not change.

Views: `events`, `rejected`, `duplicates`, `tenants`, `products`, `snapshot` (version,
tail_events), `pinned_at` (received_at: the newest receipt of a pinned version; no row in a live
view), `stopped` (series, segment, reason: the segments that neither compaction nor the view reads)
and the table macro `selected(tenant, since, until, with_bots, of_endpoint, …)`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from etl.lake import duck, staging
from etl.lake.duplicates import mark_duplicates
from etl.lake.errors import LakeError, VersionNotFound
from etl.lake.live import pinned
from etl.lake.live.tail import Tail
from etl.lake.snapshot import Snapshot, held_whole, of_table
from etl.lake.superseded import Superseded
from etl.lake.tables import EVENTS, TABLES
from etl.layout import DataFolderError, Layout
from etl.log import backlog, compatibility, segments
from etl.log.series import SeriesFormatError

if TYPE_CHECKING:
    from etl.directory.database import DirectoryDatabase
    from etl.directory.entries import Product, Tenant

_ATTEMPTS_MAX = 20
_NAMES_TTL_S = 5.0
_TENANTS = pa.schema(
    [("id", "int64"), *((name, "string") for name in ("uuid", "slug", "name", "status"))]
)
_PRODUCTS = pa.schema(
    [("id", "int64"), ("tenant_id", "int64"), ("name", "string"), ("price", pa.decimal128(18, 4))]
)


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """The memory and threads of one connection, and whether it may spill to disk."""

    memory_bytes_max: int = 1 << 30
    threads_max: int = 2
    may_spill: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """The directory's tenants and products. `read_at_s`: when they were read, monotonic clock."""

    tenants: pa.Table
    products: pa.Table
    read_at_s: float


@dataclass(slots=True)
class LiveView:
    """The live view of one data folder; its connections share caches of segments and names."""

    data: Path
    directory: DirectoryDatabase | None = None
    limits: ViewLimits = field(default_factory=ViewLimits)
    _verified: backlog.Verified = field(default_factory=backlog.Verified)
    _tail: Tail = field(default_factory=Tail)
    _superseded: Superseded = field(default_factory=Superseded)
    _names: Names | None = None

    def connect(
        self, *, version: int | None = None, names: Names | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Open a connection. `version` pins the events; `names` replace those of the directory.

        Raises LakeError, VersionNotFound, DirectoryUnavailable.
        """
        try:
            compatibility.refuse_newer(Layout(self.data))
        except (DataFolderError, SeriesFormatError) as error:
            raise LakeError(str(error)) from error
        for _ in range(_ATTEMPTS_MAX):
            con = self._new_connection()
            try:
                self._fill(con, version, names)
            except VersionNotFound:
                con.close()
                raise
            except (FileNotFoundError, duckdb.IOException, LakeError) as error:
                con.close()
                last = error
            except duckdb.Error as error:
                con.close()
                raise LakeError(f"the live view cannot be read: {error}") from error
            else:
                return con
        raise LakeError(f"files of the lake or the log cannot be read: {last}") from last

    def _new_connection(self) -> duckdb.DuckDBPyConnection:
        return duck.connect(
            Layout(self.data).spill if self.limits.may_spill else None,
            memory_bytes_max=self.limits.memory_bytes_max,
            threads_max=self.limits.threads_max,
        )

    def names(self) -> Names:
        """Return the directory's names, a few seconds old at most. Raises DirectoryUnavailable."""
        names = self._names
        now_s = time.monotonic()
        if names is None or now_s - names.read_at_s > _NAMES_TTL_S:
            names = self._names = _read_names(self.directory, now_s)
        return names

    def _fill(
        self, con: duckdb.DuckDBPyConnection, version: int | None, names: Names | None
    ) -> None:
        layout = Layout(self.data.absolute())
        sealed = segments.sealed_everywhere(layout.log) if version is None else {}
        pins = {table.name: version if table is EVENTS else None for table in TABLES}
        snapshots = [
            Snapshot.load(layout.table(table.name), table, pins[table.name]) for table in TABLES
        ]
        stopped = self._stage_tail(con, sealed, snapshots)
        self._view_tables(con, snapshots, is_pinned=version is not None)
        con.execute(package_files("etl.lake.live").joinpath("views.sql").read_text())
        self._describe(con, snapshots, stopped)
        _add_names(con, names or self.names())

    def _view_tables(
        self, con: duckdb.DuckDBPyConnection, snapshots: list[Snapshot], *, is_pinned: bool
    ) -> None:
        events = of_table(snapshots, EVENTS)
        rows = {item.table.name: item.relation() for item in snapshots}
        read_at = "(SELECT NULL::TIMESTAMPTZ AS received_at LIMIT 0)"
        if is_pinned:
            others = [item for item in snapshots if item is not events]
            pinned.register_watermarks(con, events, others)
            rows |= {item.table.name: pinned.rows(item) for item in others}
            read_at = "(SELECT max(received_at) AS received_at FROM lake_events)"
        for name, relation in rows.items():
            con.execute(f"CREATE TEMP VIEW lake_{name} AS FROM {relation}")
        con.execute(
            "CREATE TEMP VIEW every_event AS "
            "SELECT * FROM lake_events UNION ALL BY NAME SELECT * FROM staged_events"
        )
        self._superseded.view(con, events)
        con.execute(f"CREATE TEMP VIEW pinned_at AS FROM {read_at}")

    def _stage_tail(
        self,
        con: duckdb.DuckDBPyConnection,
        sealed: dict[str, list[segments.Sealed]],
        snapshots: list[Snapshot],
    ) -> list[backlog.Stopped]:
        watermarks = {series: held_whole(snapshots, series) for series in sealed}
        stopped = self._stage_lines(con, sealed, watermarks)
        staging.stage_tables(con, snapshots)
        mark_duplicates(con, of_table(snapshots, EVENTS))
        return stopped

    def _stage_lines(
        self,
        con: duckdb.DuckDBPyConnection,
        sealed: dict[str, list[segments.Sealed]],
        watermarks: dict[str, int],
    ) -> list[backlog.Stopped]:
        if sealed:
            present = {item for listed in sealed.values() for item in listed}
            self._verified.keep_only(present)
            self._tail.keep_only(present)
        while True:
            readable, stopped = backlog.above(sealed, watermarks, self._verified)
            try:
                self._tail.stage(con, readable)
            except staging.SegmentUnreadable as error:
                self._verified.mark_damaged(error.segment, error.reason)
            else:
                return stopped

    @staticmethod
    def _describe(
        con: duckdb.DuckDBPyConnection, snapshots: list[Snapshot], stopped: list[backlog.Stopped]
    ) -> None:
        con.execute(
            "CREATE TEMP TABLE snapshot AS SELECT $version::BIGINT AS version, "
            "(SELECT count(*) FROM staged_events) AS tail_events",
            {"version": of_table(snapshots, EVENTS).version},
        )
        con.execute("CREATE TEMP TABLE stopped (series VARCHAR, segment BIGINT, reason VARCHAR)")
        for item in stopped:
            con.execute(
                "INSERT INTO stopped VALUES (?, ?, ?)", [item.series, item.segment, item.reason]
            )


def _add_names(con: duckdb.DuckDBPyConnection, names: Names) -> None:
    con.register("directory_tenants", names.tenants)
    con.register("directory_products", names.products)
    con.execute("CREATE TEMP VIEW tenants AS FROM directory_tenants")
    con.execute("CREATE TEMP VIEW products AS FROM directory_products")


def open_directory(data: Path, url: str | None) -> DirectoryDatabase:
    """Return the directory of a data folder, or the directory at `url`."""
    from etl.directory.database import (  # noqa: PLC0415  (a lake is read without it)
        DirectoryDatabase,
    )

    return DirectoryDatabase(url or Layout(data).directory_url)


def _read_names(directory: DirectoryDatabase | None, now_s: float) -> Names:
    readable = directory if directory and directory.exists() else None
    tenants = list(readable.tenants()) if readable else []
    products = list(readable.products()) if readable else []
    return Names(_table(tenants, _TENANTS), _table(products, _PRODUCTS), now_s)


def _table(rows: Sequence[Tenant] | Sequence[Product], schema: pa.Schema) -> pa.Table:
    columns = [pa.array([getattr(row, item.name) for row in rows], item.type) for item in schema]
    return pa.table(columns, schema=schema)
