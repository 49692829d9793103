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


@dataclass(frozen=True, slots=True)
class Settled:
    """The sealed segments of the log and its safe time.

    Times are in microseconds since the epoch. `before_us` is the safe time: the smallest promise,
    made by the series `waits_for`; None if no series is written. `recovered` counts segments.
    `dead` names the series that nobody writes. `now_us` is the wall clock's time after the listing.
    """

    sealed: Mapping[str, list[Sealed]]
    before_us: int | None
    waits_for: str
    recovered: int
    dead: frozenset[str]
    now_us: int


def settle(log_folder: Path, lock: Path) -> Settled:
    """Recover orphans, then return the sealed segments and the safe time.

    The promises are read before the segments are listed, and no series is claimed in between.
    Raises SeriesFormatError.
    """
    promises: list[tuple[int, str]] = []
    recovered = 0
    dead: set[str] = set()
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            series.check_format(folder)
            with series.if_dead(folder) as is_dead:
                if is_dead:
                    recovered += len(recovery.recover_series(folder))
                    dead.add(folder.name)
                else:
                    promises.append((closed.read(folder) or 0, folder.name))
        sealed = segments.sealed_everywhere(log_folder)
    before_us, waits_for = min(promises, default=(None, ""))
    now_us = time.time_ns() // 1000
    return Settled(sealed, before_us, waits_for, recovered, frozenset(dead), now_us)
