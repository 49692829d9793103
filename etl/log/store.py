"""The segment store: where the sealed segments are that jobs and reports read and delete.

It has two forms. `LocalLog` is the folder that the collectors of this machine write. `SharedLog`
(`etl.log.shared_log`) is the log of several machines in object storage, to which their shippers
copy what they seal. All other code knows only the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etl import durable
from etl.layout import Layout
from etl.log import rewriting, safe_time, segments, series
from etl.log.rewriting import Entry
from etl.log.safe_time import Settled
from etl.log.segments import Sealed
from etl.log.unshipped import Unshipped


class LogUnavailable(Exception):
    """The segments cannot be listed or read now; the message says why and what to do."""


class NotTheWarehouse(LogUnavailable):
    """Another data folder has the lake of this log, so only that one can read it."""


class SegmentStore(Protocol):
    """The sealed segments of a log. The files of those that it returns can be read here."""

    @property
    def folder(self) -> Path:
        """The folder of the files: one folder per series, with its description."""

    def sealed(self) -> dict[str, list[Sealed]]:
        """Return every sealed segment, by series. Raises LogUnavailable."""

    def last_sealed(self) -> dict[str, list[Sealed]] | None:
        """Return the sealed segments without asking another machine.

        They are those of the last `sealed`, if that asks one; None if it failed.
        """

    def settle(self) -> Settled:
        """Return the sealed segments and the safe time. Raises LogUnavailable."""

    def delete(self, unneeded: Sequence[Sealed]) -> None:
        """Delete segments; a missing one is no error. Raises LogUnavailable."""

    def put(self, series_name: str, number: int, entries: Sequence[Entry]) -> Sealed:
        """Put a segment of these entries, and return it. Raises LogUnavailable."""

    def may_grow(self, series_name: str, /) -> bool:
        """Return whether a machine may still ship segments of a series. Raises LogUnavailable."""

    def unshipped(self) -> Unshipped:
        """Return the segments of this machine that are to be here, and are not yet."""

    def dead_series(self) -> set[str]:
        """Return the series that nobody writes. Raises LogUnavailable."""

    def remove_dead(self, dead: set[str]) -> None:
        """Remove those of these dead series that hold no segment. Raises LogUnavailable."""


@dataclass(frozen=True, slots=True)
class LocalLog:
    """The log in a folder of this machine; `lock` is held while a series is claimed."""

    folder: Path
    lock: Path

    @classmethod
    def of(cls, layout: Layout) -> LocalLog:
        """Return the log of a data folder."""
        return cls(layout.log, layout.log_lock)

    def sealed(self) -> dict[str, list[Sealed]]:
        return segments.sealed_everywhere(self.folder)

    def last_sealed(self) -> dict[str, list[Sealed]]:
        return self.sealed()

    def settle(self) -> Settled:
        return safe_time.settle(self.folder, self.lock)

    def delete(self, unneeded: Sequence[Sealed]) -> None:
        for segment in unneeded:
            segment.path.unlink(missing_ok=True)
        for folder in _folders(unneeded):
            durable.fsync_path(folder)

    def put(self, series_name: str, number: int, entries: Sequence[Entry]) -> Sealed:
        return rewriting.write_sealed(self.folder / series_name, number, entries)

    def may_grow(self, _: str, /) -> bool:
        return False  # all that exists is here

    def unshipped(self) -> Unshipped:
        return Unshipped()

    def dead_series(self) -> set[str]:
        return series.dead_series(self.folder, self.lock)

    def remove_dead(self, dead: set[str]) -> None:
        series.remove_dead(self.folder, self.lock, dead)


def _folders(of: Iterable[Sealed]) -> list[Path]:
    return sorted({segment.path.parent for segment in of})
