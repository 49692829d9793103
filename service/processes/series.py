"""The series that a collector writes, and the change to a new one when the clock falls back."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from etl.layout import Layout
from etl.log import claiming
from etl.log.claiming import Claim
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position
from etl.log.series import SeriesFormatError
from service.collector.clock import Clock
from service.collector.journal import Journal, JournalBroken

log = logging.getLogger(__name__)

_CLOCK_CHECKED_EVERY_S = 0.5


@dataclass(slots=True)
class CollectorSeries:
    """The series of the collector in `slot`. Call `claim` first."""

    layout: Layout
    slot: int
    clock: Clock
    segment_bytes_max: int
    disk_free_bytes_min: int
    _claim: Claim = field(init=False)

    @property
    def name(self) -> str:
        """The name of the claimed series."""
        return self._claim.folder.name

    def claim(self) -> SegmentWriter:
        """Claim a new series, set the clock to its beginning, and return its writer.

        Raises OSError, SeriesFormatError.
        """
        self._claim = self._new_claim()
        self.clock.restart(self._claim.begins_us)
        return self._writer(self._claim)

    def release(self) -> None:
        """Release the claimed series."""
        self._claim.release()

    async def follow_clock(self, journal: Journal) -> None:
        """Change to a new series whenever the system's clock fell far back, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(journal.clock_fell.wait(), _CLOCK_CHECKED_EVERY_S)
            try:
                if self.clock.has_fallen():
                    await self._change(journal, self.clock.behind_us() / 1e6)
            except (OSError, SeriesFormatError, JournalBroken) as error:
                log.error("the series was not changed", extra={"fields": {"why": str(error)}})
            finally:
                journal.release_waiting()

    async def _change(self, journal: Journal, behind_s: float) -> None:
        old, new = self._claim, await asyncio.to_thread(self._new_claim)
        try:
            await journal.change_series(self._writer(new), new.begins_us)
        except JournalBroken:
            new.release()
            raise
        self._claim = new
        fields = {"behind_s": behind_s, "from": old.folder.name, "to": new.folder.name}
        log.warning("the clock fell back; going on in a new series", extra={"fields": fields})
        await asyncio.to_thread(old.release)

    def _new_claim(self) -> Claim:
        return claiming.claim(
            self.layout.log,
            self.layout.log_lock,
            host=socket.gethostname(),
            slot=self.slot,
            now_us=self.clock.wall_us(),
        )

    def _writer(self, claim: Claim) -> SegmentWriter:
        return SegmentWriter(
            claim.folder,
            Position(),
            segment_bytes_max=self.segment_bytes_max,
            disk_free_bytes_min=self.disk_free_bytes_min,
        )
