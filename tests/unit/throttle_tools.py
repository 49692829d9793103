"""A worker whose gates ask a server, without a collector around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from service.collector.clock import Clock
from service.collector.throttle.gates import Buckets, Gates, RateLimits, Throttled
from service.collector.throttle.token_bucket import Rate
from service.collector.throttle.valkey.address import ServerAddress
from service.collector.throttle.valkey.gates import rates, server_gates
from service.collector.throttle.valkey.server import ThrottleServer
from service.collector.throttle.valkey.tally import Tally, Word
from service.collector.waiting import Waiting, known

DEADLINE_S = 60.0
PATIENT_S = 20.0  # a test that waits this long for a decision does not depend on a machine's speed


def scarce(burst: int) -> Rate:
    """One in ten minutes."""
    return Rate(per_s=1 / 600, burst=burst)


LIMITS = RateLimits(
    api=scarce(9),
    address=scarce(8),
    address_bytes=scarce(1000),
    tenant_aware=scarce(7),
    tenant_bytes=scarce(900),
)


async def eventually(check: Callable[[], object]) -> None:
    """Let the loop run until `check` returns a true value."""
    async with asyncio.timeout(DEADLINE_S):
        while not check():
            await asyncio.sleep(0.005)


class Worker:
    """The gates of one worker, its server and its counters."""

    def __init__(
        self,
        url: str,
        *,
        machine: str = "m1",
        wait_s: float = PATIENT_S,
        limits: RateLimits = LIMITS,
        secret: str = "",
        known_machines: int = 0,
    ) -> None:
        self.words = [0] * len(Word)
        self.words[Word.MACHINES] = known_machines
        self.remembered: list[int] = []
        self.now_s = 1000.0
        self.clock = Clock(wall_ns=lambda: 10**18, monotonic_s=lambda: self.now_s)
        self.server = ThrottleServer(
            ServerAddress.parse(url),
            rates(limits),
            machine,
            Tally(self.words),
            wait_s=wait_s,
        )
        self.server.remember = self.remembered.append
        buckets = Buckets.shared(limits, processes=1)
        self.gates = server_gates(buckets, self.clock, self.server, secret)
        self.alone = Gates.of(Buckets.shared(limits, processes=1), self.clock)

    @asynccontextmanager
    async def running(self, *, decides: bool = True) -> AsyncIterator[Worker]:
        """Keep the server deciding; wait until it does."""
        task = asyncio.create_task(self.server.run())
        try:
            if decides:
                await self.decides()
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def decides(self) -> None:
        """Wait until the server decides."""
        await eventually(lambda: self.words[Word.IS_UP])

    async def is_away(self) -> None:
        """Wait until it is known that the server does not decide."""
        await eventually(lambda: self.server.why_away)

    @property
    def by_server(self) -> int:
        return self.words[Word.BY_SERVER]

    @property
    def by_machine(self) -> int:
        return self.words[Word.BY_MACHINE]


async def outcome(call: Callable[[], Any]) -> Any:
    """The result of a gate, now or later; an error as a value, its text and headers."""
    try:
        return await known(call())
    except Throttled as error:
        return str(error), dict(error.headers)


async def together(*calls: Callable[[], Any]) -> list[Any]:
    """Ask in one turn of the loop, then wait for all."""
    asked: list[Awaitable[Any]] = []
    for call in calls:
        value = call()
        assert isinstance(value, Waiting)
        asked.append(outcome(lambda value=value: value))  # type: ignore[misc]
    return [await each for each in asked]
