"""The safe time: the time before which every line of the log is in a sealed segment.

`etl.log.closed` explains why the steps of `settle` find it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log import closed, recovery, segments, series
from etl.log.segments import Sealed
from etl.log.series import SeriesFormatError


@dataclass(frozen=True, slots=True)
class Settled:
    """The sealed segments of the log and its safe time.

    Times are in microseconds since the epoch. `promises` are those of the series that are written.
    `recovered` counts segments. `dead` names the series that nobody writes. `now_us` is the wall
    clock's time after the listing.
    """

    sealed: Mapping[str, list[Sealed]]
    promises: Mapping[str, int]
    recovered: int
    dead: frozenset[str]
    now_us: int

    @property
    def before_us(self) -> int | None:
        """The safe time: the smallest promise; None if no series is written."""
        return min(self.promises.values(), default=None)

    @property
    def waits_for(self) -> str:
        """The series that made the smallest promise; empty if no series is written."""
        return min(self.promises, key=self.promises.__getitem__, default="")


def settle(log_folder: Path, lock: Path) -> Settled:
    """Recover orphans, then return the sealed segments and the safe time.

    Raises SeriesFormatError, OSError.
    """
    settled, refused = settle_each(log_folder, lock)
    for error in refused:
        raise error
    return settled


def settle_each(log_folder: Path, lock: Path) -> tuple[Settled, list[SeriesFormatError | OSError]]:
    """Settle as `settle`, without the series that cannot be read; return their errors too.

    The promises are read before the segments are listed, and no series is claimed in between.
    """
    promises: dict[str, int] = {}
    recovered = 0
    dead: set[str] = set()
    refused: list[SeriesFormatError | OSError] = []
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            try:
                series.check_format(folder)
                with series.if_dead(folder) as is_dead:
                    if is_dead:
                        recovered += len(recovery.recover_series(folder))
                        dead.add(folder.name)
                    else:
                        promises[folder.name] = closed.read(folder) or 0
            except (SeriesFormatError, OSError) as error:
                refused.append(error)
        listed = segments.sealed_everywhere(log_folder)
    sealed = {name: listed[name] for name in listed if name in dead or name in promises}
    now_us = time.time_ns() // 1000
    return Settled(sealed, promises, recovered, frozenset(dead), now_us), refused
