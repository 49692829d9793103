"""The live view: a lake snapshot and the log's tail above that snapshot's watermarks.

Segments are listed first, then the snapshot is loaded, and the watermarks come from that same
snapshot. A segment that was compacted or deleted in between is in the snapshot. So at any moment of
a compaction every sealed line is seen once. The tail passes through the same duplicate rule as
compaction. A connection shows one moment: its rows do not change.

Views: `events`, `rejected`, `duplicates`, `tenants`, `products`, `snapshot` (version,
tail_events), `pinned_at` (received_at: the newest receipt of a pinned version; no row in a live
view), `stopped` (series, segment, reason: the segments that neither compaction nor the view reads).
Macros: those of `macros.sql`, such as the table `selected(tenant, since, until, with_bots)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from etl.lake import duck, staging
from etl.lake.duplicates import mark_duplicates
from etl.lake.errors import LakeError, LakeUnavailable, VersionNotFound
from etl.lake.key_search import Memory
from etl.lake.live import pinned
from etl.lake.live.instance import Instance
from etl.lake.live.kept import KeptViews, Opened
from etl.lake.live.moment import Moment
from etl.lake.live.names import Names, NamesOf
from etl.lake.live.read_ahead import ReadAhead
from etl.lake.live.scope import Scope
from etl.lake.live.tail import Tail
from etl.lake.period import ALWAYS, Period
from etl.lake.snapshot import Snapshot, held_whole, of_table
from etl.lake.store import LakeStore, LocalLake
from etl.lake.superseded import Superseded
from etl.lake.tables import EVENTS, TABLES
from etl.layout import DataFolderError, Layout
from etl.log import backlog, compatibility, segments
from etl.log.series import SeriesFormatError
from etl.log.store import LocalLog, LogUnavailable, SegmentStore

if TYPE_CHECKING:
    from etl.directory.database import DirectoryDatabase
    from etl.directory.entries import WholeDirectory

_ATTEMPTS_MAX = 20


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """The memory and threads of all connections of a view, and whether they may spill to disk.

    `tail_bytes_max` bounds the log lines that are kept between connections, by their bytes in the
    log, of which they take about 0.4 in memory; 0 suits a view with one connection.
    """

    memory_bytes_max: int = 1 << 30
    threads_max: int = 2
    may_spill: bool = True
    tail_bytes_max: int = 512 << 20


class LiveView:
    """The live view of one data folder; its connections share one DuckDB instance and its caches.

    Threads may share it. Its connections can be used for as long as they are open.
    """

    def __init__(
        self,
        data: Path,
        directory: WholeDirectory | None = None,
        limits: ViewLimits | None = None,
        store: SegmentStore | None = None,
        lake: LakeStore | None = None,
    ) -> None:
        """View a data folder.

        `store` holds the segments and `lake` the tables; those of the folder by default.
        """
        self.data, self.directory, self.limits = data, directory, limits or ViewLimits()
        layout = Layout(data.absolute())
        self.store, self.lake = store or LocalLog.of(layout), lake or LocalLake(layout)
        self._verified = backlog.Verified()
        self._superseded = Superseded()
        self._keys = Memory()
        self._names = NamesOf(directory)
        open_instance = partial(
            duck.connect,
            Layout(data).spill if self.limits.may_spill else None,
            memory_bytes_max=self.limits.memory_bytes_max,
            threads_max=self.limits.threads_max,
        )
        self._instance = Instance(open_instance)
        self._tail = Tail(open_instance, self.limits.tail_bytes_max)
        self._kept = KeptViews()
        self.ahead = ReadAhead(
            data,
            self.store,
            self.lake,
            self._instance,
            self._tail,
            self._superseded,
            self._verified,
            self._kept,
        )

    def lock_down(self) -> None:
        """Let the connections read no files but those of the lake; this cannot be undone."""
        self._instance.lock_down(Layout(self.data).lake)

    def refresh(self) -> Mapping[str, int]:
        """Bring the files of log and lake here up to date, for a process that fetches none.

        Return the versions of the tables that it reads (`LakeStore.versions_here`). Raises
        LakeError.
        """
        try:
            self.store.sealed()
        except LogUnavailable as error:
            raise LakeError(str(error)) from error
        return self.lake.versions_here()

    def connect(
        self,
        *,
        version: int | None = None,
        tenant: int | None = None,
        names: Names | None = None,
        period: Period = ALWAYS,
    ) -> duckdb.DuckDBPyConnection:
        """Open a connection.

        `version` pins the events; with `tenant`, events and duplicates are those of one tenant;
        `names` replace those of the directory. Events and other rows outside of `period` may be
        missing. Raises LakeError, VersionNotFound, DirectoryUnavailable.
        """
        return self._open(Scope(version, tenant, names or self.names(), period)).con

    def opened(
        self, *, tenant: int | None, names: Names, period: Period, only_events: bool = False
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Lend a connection for one question, which may have answered others; it is closed later.

        With `only_events` it may lack `rejected` and `duplicates`. The other arguments and the
        errors are those of `connect`.
        """
        scope = Scope(None, tenant, names, period)
        return self._kept.opened(scope, self._open, only_events=only_events)

    def _open(self, scope: Scope) -> Opened:
        try:
            compatibility.refuse_newer(Layout(self.data))
        except (DataFolderError, SeriesFormatError) as error:
            raise LakeError(str(error)) from error
        for _ in range(_ATTEMPTS_MAX):
            with ExitStack() as on_failure:
                try:
                    con = self._instance.cursor()
                    on_failure.callback(con.close)
                    moment = self._fill(con, scope)
                except (VersionNotFound, LakeUnavailable):
                    raise
                except LogUnavailable as error:
                    raise LakeError(str(error)) from error
                except (FileNotFoundError, duckdb.IOException, LakeError) as error:
                    last = error
                    continue
                except duckdb.Error as error:
                    raise LakeError(f"the live view cannot be read: {error}") from error
                on_failure.pop_all()
                return Opened(con, self._instance.cursor, scope, moment)
        raise LakeError(f"files of the lake or the log cannot be read: {last}") from last

    def names(self) -> Names:
        """Return the directory's names, a few seconds old. Raises DirectoryUnavailable."""
        return self._names.current()

    def _fill(self, con: duckdb.DuckDBPyConnection, scope: Scope) -> Moment | None:
        """Fill a connection; return None if its view must not be kept."""
        sealed = self.store.sealed() if scope.version is None else {}
        snapshots = self._snapshots(scope.version)
        stopped = self._stage_tail(con, sealed, snapshots, scope)
        self._view_tables(con, snapshots, scope)
        self._describe(con, snapshots, stopped)
        scope.names.show(con)
        # A stopped segment may be restored under its name, and then this moment would not differ.
        is_kept = scope.version is None and not stopped
        return Moment(sealed, snapshots, self.store, self.lake) if is_kept else None

    def _snapshots(self, version: int | None) -> list[Snapshot]:
        """Load every table: of the events `version`, or the newest; of the others the newest."""
        if version is None:
            return self.lake.newest()
        return [self.lake.load(table, version if table is EVENTS else None) for table in TABLES]

    def _view_tables(
        self, con: duckdb.DuckDBPyConnection, snapshots: list[Snapshot], scope: Scope
    ) -> None:
        events = of_table(snapshots, EVENTS)
        shown = [self.lake.within(item, scope.period) for item in snapshots]
        rows = {item.table.name: item.relation() for item in shown}
        read_at = pinned.AT_NONE
        if scope.version is not None:
            others = [item for item in snapshots if item is not events]
            pinned.register_watermarks(con, events, others)
            rows |= {item.table.name: pinned.rows(item) for item in others}
            read_at = f"(SELECT max(received_at) AS received_at FROM {events.relation()})"
        # DuckDB looks up all files of a view whenever another one names it: they come last.
        for table in TABLES:
            empty = Snapshot.empty(table).relation()
            con.execute(f"CREATE TEMP VIEW lake_{table.name} AS FROM {empty}")
        columns = EVENTS.columns_of_unions
        con.execute(
            "CREATE TEMP VIEW every_event AS "
            f"SELECT {columns} FROM lake_events UNION ALL SELECT {columns} FROM staged_events"
        )
        near = self.lake.within(events, scope.period.around_sales())
        self._superseded.view(con, near, scope.tenant, self._keys.copy())
        con.execute(package_files("etl.lake.live").joinpath("views.sql").read_text())
        con.execute(f"CREATE TEMP VIEW pinned_at AS FROM {read_at}")
        for table in TABLES:
            chosen = f"{rows[table.name]} {scope.condition(table)}"
            con.execute(f"CREATE OR REPLACE TEMP VIEW lake_{table.name} AS FROM {chosen}")

    def _stage_tail(
        self,
        con: duckdb.DuckDBPyConnection,
        sealed: dict[str, list[segments.Sealed]],
        snapshots: list[Snapshot],
        scope: Scope,
    ) -> list[backlog.Stopped]:
        watermarks = {series: held_whole(snapshots, series) for series in sealed}
        stopped: list[backlog.Stopped] = []
        if scope.version is None:
            stopped = self._stage_lines(con, sealed, watermarks, scope.tenant)
        else:
            staging.stage_lines(con, [])
        staging.stage_tables(con, snapshots)
        # One tenant's keys are few; what is known of all keys must not be replaced by them.
        memory = self._keys if scope.is_whole else self._keys.copy()
        mark_duplicates(con, of_table(snapshots, EVENTS), memory)
        return stopped

    def _stage_lines(
        self,
        con: duckdb.DuckDBPyConnection,
        sealed: dict[str, list[segments.Sealed]],
        watermarks: dict[str, int],
        tenant: int | None,
    ) -> list[backlog.Stopped]:
        self._verified.keep_only({item for listed in sealed.values() for item in listed})
        while True:
            readable, stopped = backlog.above(sealed, watermarks, self._verified)
            try:
                self._tail.stage(con, readable, tenant)
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


def open_directory(data: Path, url: str | None) -> DirectoryDatabase:
    """Return the directory of a data folder, or the directory at `url`."""
    from etl.directory.database import (  # noqa: PLC0415  (a lake is read without it)
        DirectoryDatabase,
    )

    return DirectoryDatabase(url or Layout(data).directory_url)
