"""The scheduled jobs of the warehouse: compaction, measuring the tail, maintenance, directory.

A failure with a cause outside the program is one line in the log, and the job runs again at its
next time. Any other error is a defect: the job raises it, and the schedule logs its traceback.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path

from etl.directory.entries import DirectoryUnavailable
from etl.directory.saved import SavedDirectory
from etl.lake import compaction
from etl.lake.errors import LakeError, LakeTaken
from etl.lake.live.read_ahead import ReadAhead
from etl.lake.snapshot import newest_date
from etl.lake.store import LakeStore
from etl.layout import DataFolderError
from etl.log.series import SeriesFormatError
from etl.log.store import LogUnavailable, SegmentStore
from etl.trusted_clock import TRUSTED_AFTER_S, TrustedClock
from etl.upkeep import maintenance
from service.web.private.metrics import WarehouseMetrics

log = logging.getLogger(__name__)

_FAILURES = (
    LakeError,
    LogUnavailable,
    OSError,
    DataFolderError,
    SeriesFormatError,
    compaction.CompactionConflict,
)
_READ_AHEAD_BYTES_MIN = 4 << 20
"""Fewer new bytes of the log are parsed in about 100 ms, so they are left to the next question."""


@dataclass(slots=True)
class CompactionJob:
    """The compaction of one data folder, and the reasons why events do not reach its lake."""

    data: Path
    plan: compaction.CompactionPlan
    interval_s: float
    metrics: WarehouseMetrics
    store: SegmentStore
    lake: LakeStore
    _clock: TrustedClock = field(init=False)
    _reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clock = TrustedClock(trusted_after_s=self.plan.segment_grace_s)

    def run(self) -> None:
        """Compact once."""
        began_s = time.monotonic()
        try:
            outcome = compaction.run(
                self.data, self.plan, self._clock.now_s(), self.store, self.lake
            )
        except LakeTaken as error:
            self._reasons = []
            log.debug("another warehouse compacts", extra={"fields": {"why": str(error)}})
            return
        except _FAILURES as error:
            self._failed(f"compaction failed: {error}", began_s)
            log.error("compaction failed", extra={"fields": {"why": str(error)}})
            return
        except Exception:
            self._failed("compaction failed; the log says why", began_s)
            raise
        self.metrics.compacted(outcome, time.monotonic() - began_s)
        self._reasons = [
            f"compaction stopped {item.series} at segment {item.segment}: {item.reason}"
            for item in outcome.stopped
        ]
        if outcome.segments:
            log.info("compacted", extra={"fields": _fields(outcome)})

    def run_and_read(self, ahead: ReadAhead) -> None:
        """Compact once, and read the sales of the new files before a question needs them."""
        try:
            self.run()
        finally:
            read_ahead(ahead, new_bytes_min=0)

    def measure_tail(self) -> None:
        """Measure the segments that no table holds yet."""
        try:
            self.metrics.observe_tail(self.lake)
        except (LakeError, LogUnavailable) as error:
            log.error("cannot measure the tail", extra={"fields": {"why": str(error)}})

    def why_not_ready(self) -> Sequence[str]:
        """Return the reasons why events do not reach the lake."""
        return [*self._reasons, *self.metrics.tail.why_not_ready(self.interval_s)]

    def _failed(self, reason: str, began_s: float) -> None:
        self.metrics.compaction_failed(time.monotonic() - began_s)
        self._reasons = [reason]


@dataclass(slots=True)
class DirectoryJob:
    """The refresh of a server's saved directory; `saved` is None for a directory in a file."""

    saved: SavedDirectory | None
    _failure: str = ""

    async def run_every(self, interval_s: float) -> None:
        """Run until cancelled. A run that waits for the server then goes on by itself.

        The schedule's jobs are waited for at the end, and a server may hang.
        """
        thread = ThreadPoolExecutor(1, "directory-refresh")
        while self.saved:
            await asyncio.get_running_loop().run_in_executor(thread, self.run)
            await asyncio.sleep(interval_s)

    def run(self) -> None:
        """Refresh it once; log a failure once per outage."""
        try:
            if self.saved:
                self.saved.refresh()
        except DirectoryUnavailable as error:
            if not self._failure:
                log.warning(
                    "the directory could not be refreshed; the last snapshot still serves",
                    extra={"fields": {"why": str(error)}},
                )
            self._failure = str(error)
        else:
            self._failure = ""

    def why_not_ready(self) -> Sequence[str]:
        """Return why reports cannot be answered: the directory was never read."""
        if self.saved is None or self.saved.exists():
            return []
        return [self._failure or "the directory was not read yet"]

    def why_degraded(self) -> Sequence[str]:
        """Return that the last refresh failed, as a text; the log says why."""
        return ["the directory could not be refreshed"] if self._failure else []

    def ages_s(self) -> dict[str, float]:
        """Return the age of the saved directory by its name."""
        age_s = self.saved.age_s() if self.saved else inf
        return {} if age_s == inf else {"directory_age_s": round(age_s, 1)}


def maintain(
    data: Path, plan: maintenance.MaintenancePlan, clock: TrustedClock, lake: LakeStore
) -> None:
    """Run maintenance once."""
    try:
        outcome = maintenance.run(data, plan, clock.now_s(), lake)
    except LakeTaken as error:
        log.debug("another warehouse maintains", extra={"fields": {"why": str(error)}})
        return
    except _FAILURES as error:
        log.error("maintenance failed", extra={"fields": {"why": str(error)}})
        return
    log.info("maintained", extra={"fields": asdict(outcome)})


def read_ahead(ahead: ReadAhead, *, new_bytes_min: int = _READ_AHEAD_BYTES_MIN) -> None:
    """Read what questions share, once enough of it is new."""
    try:
        ahead.run(new_bytes_min=new_bytes_min)
    except LakeError as error:
        log.error("cannot read ahead", extra={"fields": {"why": str(error)}})


def doubt_late_start(lake: LakeStore, clock: TrustedClock) -> None:
    """Distrust a wall clock that is far ahead of the newest receipt in the lake.

    Such a clock may be wrong since before this start, and maintenance deletes by it. It is trusted
    up to a day (TRUSTED_AFTER_S) after the end of the newest day of receipts.
    """
    try:
        newest = newest_date(lake.newest())
    except LakeError as error:
        log.error("cannot read the newest receipt", extra={"fields": {"why": str(error)}})
        return
    if newest:
        day_end = datetime.combine(newest + timedelta(days=1), datetime.min.time(), UTC)
        clock.doubt_after(day_end.timestamp() + TRUSTED_AFTER_S)


def _fields(outcome: compaction.CompactionResult) -> dict[str, object]:
    return {
        "segments": outcome.segments,
        "lines": outcome.lines,
        "rows": outcome.rows,
        "duplicates": outcome.duplicates,
        "rejected": outcome.rejected,
        "version": outcome.version,
    }
