"""The moment that a connection to the live view shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etl.lake.errors import LakeError
from etl.lake.period import Period
from etl.lake.snapshot import Snapshot
from etl.lake.store import LakeStore
from etl.log.segments import Sealed
from etl.log.store import LogUnavailable, SegmentStore


@dataclass(frozen=True, slots=True)
class Moment:
    """The sealed segments and the versions of tables that a view was opened from."""

    sealed: Mapping[str, Sequence[Sealed]]
    snapshots: Sequence[Snapshot]
    store: SegmentStore
    lake: LakeStore

    def is_now(self) -> bool:
        """Return whether a view that is opened now shows this moment."""
        try:
            return self.store.sealed() == self.sealed and (
                _versions(self.lake.newest()) == _versions(self.snapshots)
            )
        except (LogUnavailable, LakeError):
            return False  # who opens a view now gets the error

    def has_all_files(self, period: Period) -> bool:
        """Return whether a view of a period has all files for certain."""
        return all(self.lake.within(item, period) is item for item in self.snapshots)


def _versions(snapshots: Sequence[Snapshot]) -> list[tuple[int | None, tuple[str, ...]]]:
    return [(item.version, item.files) for item in snapshots]
