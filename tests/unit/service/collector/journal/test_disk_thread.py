"""The thread of a journal: calls in order, and their results on the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.collector.journal.disk_thread import DiskThread

HANG_S = 60.0


def test_calls_run_in_order_in_another_thread() -> None:
    """One after the other, however many are waiting."""
    called: list[int] = []

    def call(number: int) -> int:
        called.append(number)
        return threading.get_ident()

    async def scenario() -> None:
        disk = DiskThread()
        futures = [disk.run(lambda number=number: call(number)) for number in range(50)]
        idents = set(await asyncio.wait_for(asyncio.gather(*futures), HANG_S))
        assert len(idents) == 1
        assert threading.get_ident() not in idents
        disk.close()

    asyncio.run(scenario())
    assert called == list(range(50))


def test_an_error_is_raised_where_the_result_is_awaited() -> None:
    """The thread takes the next call all the same."""

    def fail() -> None:
        raise OSError("no space")

    async def scenario() -> None:
        disk = DiskThread()
        with pytest.raises(OSError, match="no space"):
            await asyncio.wait_for(disk.run(fail), HANG_S)
        assert await asyncio.wait_for(disk.run(lambda: 7), HANG_S) == 7
        disk.close()

    asyncio.run(scenario())


def test_a_cancelled_wait_stops_neither_the_call_nor_the_thread() -> None:
    """A call that has begun is finished, and nobody reads its result."""
    release, done = threading.Event(), threading.Event()

    def slow() -> None:
        release.wait(HANG_S)
        done.set()

    async def scenario() -> None:
        disk = DiskThread()
        disk.run(slow).cancel()
        release.set()
        assert await asyncio.wait_for(disk.run(lambda: 7), HANG_S) == 7
        disk.close()

    asyncio.run(scenario())
    assert done.is_set()


def test_closing_waits_for_the_calls_before_it() -> None:
    """A drain ends with the last write."""
    called: list[int] = []

    async def scenario() -> None:
        disk = DiskThread()
        for number in range(3):
            disk.run(lambda number=number: called.append(number))
        disk.close()
        assert called == [0, 1, 2]

    asyncio.run(scenario())
