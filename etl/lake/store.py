"""The lake store: where the tables of a lake are, and the lock of the jobs that change them.

It has two forms. `LocalLake` is the folder `lake` of a data folder. `SharedLake`
(`etl.lake.shared`) is a lake in object storage, for the warehouses of several machines. All other
code knows only the protocol.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from etl import durable
from etl.lake.newest import NewestSnapshot
from etl.lake.period import Period
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable, TableStore
from etl.lake.tables import TABLES, Table
from etl.layout import Layout

log = logging.getLogger(__name__)


class LakeStore(Protocol):
    """The tables of a lake."""

    def locked(self) -> AbstractContextManager[None]:
        """Wait until no other job changes the lake, and let none begin during the body."""

    def table(self, table: Table) -> TableStore:
        """Return the store of a table. Raises LakeError."""

    def load(self, table: Table, version: int | None = None) -> Snapshot:
        """Load the newest version of a table, or `version`. Raises LakeError, VersionNotFound."""

    def newest(self) -> list[Snapshot]:
        """Return the newest version of every table, for readers. Raises LakeError."""

    def within(self, snapshot: Snapshot, period: Period, /) -> Snapshot:
        """Return a snapshot for a question about a period.

        It may lack files that hold no row of the period, so that they need not be fetched.
        """

    def versions_here(self) -> Mapping[str, int]:
        """Make all files of the newest versions be here, for a process that fetches none.

        Return the versions by table; empty if every newest version is here at any time. Raises
        LakeError.
        """


@contextmanager
def alone_here(layout: Layout) -> Iterator[None]:
    """Wait until no other job of this data folder changes the lake; hold its lock in the body.

    Lines that a killed compaction left between its tasks are deleted first.
    """
    with durable.locked(layout.lake_lock):
        try:
            shutil.rmtree(layout.shuffle)
        except FileNotFoundError:
            pass
        except OSError as error:
            fields = {"folder": str(layout.shuffle), "why": str(error)}
            log.error(
                "lines of a killed compaction remain; delete the folder", extra={"fields": fields}
            )
        yield


@dataclass(frozen=True, slots=True)
class LocalLake:
    """The lake in a data folder.

    `versions`: the versions, by table, that count as the newest; those in the folder by default.
    """

    layout: Layout
    versions: Mapping[str, int] = field(default_factory=dict)
    _newest: dict[str, NewestSnapshot] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def locked(self) -> AbstractContextManager[None]:
        return alone_here(self.layout)

    def table(self, table: Table) -> TableStore:
        return LocalTable(self.layout.table(table.name), table)

    def load(self, table: Table, version: int | None = None) -> Snapshot:
        folder, newest = self.layout.table(table.name), self.versions.get(table.name)
        return Snapshot.load(folder, table, newest if version is None else version)

    def newest(self) -> list[Snapshot]:
        if self.versions:
            return [self.load(table) for table in TABLES]
        return [self._kept(table).load() for table in TABLES]

    def _kept(self, table: Table) -> NewestSnapshot:
        newest = NewestSnapshot(self.layout.table(table.name), table)
        return self._newest.setdefault(table.name, newest)

    def within(self, snapshot: Snapshot, _: Period, /) -> Snapshot:
        return snapshot  # all files are here, and DuckDB opens only those of the period

    def versions_here(self) -> Mapping[str, int]:
        return {}
