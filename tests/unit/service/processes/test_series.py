"""The change to a new series after the clock fell back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from etl.layout import Layout
from etl.log.claiming import Claim
from etl.log.series import SeriesFormatError
from service.collector.clock import Clock
from service.processes.series import CollectorSeries


class FakeJournal:
    """A journal whose clock fell; it counts how often waiting events were released."""

    def __init__(self) -> None:
        self.clock_fell = asyncio.Event()
        self.clock_fell.set()
        self.released = 0

    def release_waiting(self) -> None:
        self.released += 1
        if self.released == 2:
            self.clock_fell.clear()


class NewerFormat(CollectorSeries):
    """A log in which, after the first claim, another version left a series of a newer format."""

    is_claimed = False

    def _new_claim(self) -> Claim:
        if self.is_claimed:
            raise SeriesFormatError("a newer format")
        self.is_claimed = True
        return super()._new_claim()


class FallenClock(Clock):
    """A clock that has fallen."""

    def has_fallen(self) -> bool:
        return True


def test_events_go_on_where_no_new_series_can_be_claimed(tmp_path: Path) -> None:
    """A series of a newer format does not end the task that they wait for."""

    async def scenario() -> None:
        journal: Any = FakeJournal()
        layout = Layout(tmp_path / "data")
        layout.prepare()
        series = NewerFormat(layout, 0, FallenClock(), 1 << 20, 0)
        series.claim()
        task = asyncio.create_task(series.follow_clock(journal))
        async with asyncio.timeout(60):
            while journal.released < 2:
                await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        series.release()

    asyncio.run(scenario())
