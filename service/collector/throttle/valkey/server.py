"""A server that decides for one worker, as long as it can: connect, register, ask, come back.

    away ──(connected and registered)──> serving ──(no answer within WAIT_S)──> behind
      ^                                    ^ │                                  │   │
      │                                    └─┼──(all answers have arrived)──────┘   │
      └─────(an error, a lost connection, SILENCE_S without a reply)────────────────┘

Only a server that is serving is asked. Otherwise, and if an answer does not come in time, the
caller decides by the buckets of its machine. These hold one part in `machines` of each limit:
every machine registers with the server, and is counted until MACHINE_S after its last registration.
A worker that starts while the server is away goes on with the number that its machine knew last.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service.collector.throttle.token_bucket import Rate
from service.collector.throttle.valkey.address import ServerAddress
from service.collector.throttle.valkey.connection import (
    Connection,
    ServerAway,
    ServerLost,
    ServerRefused,
)
from service.collector.throttle.valkey.decisions import EPOCH_S, PREFIX, TAKE, Ask, packed_rates
from service.collector.throttle.valkey.line import Decided, Line, LinePlan
from service.collector.throttle.valkey.server_clock import ServerClock
from service.collector.throttle.valkey.tally import Tally

log = logging.getLogger(__name__)

WAIT_S = 0.004
"""The longest wait for an answer. A loop that is busy adds the length of its next turns."""
SILENCE_S = 1.0
REGISTERED_EVERY_S = 1.0
MACHINE_S = 15
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.05, 1.0
_MACHINES_KEY = PREFIX + b"machines"
_REGISTER = Path(__file__).with_name("register.lua").read_bytes()


class ThrottleServer:
    """The server at `address`, for the event loop of one worker of `machine`.

    `rates` are those of all buckets, in the order that `Ask.first` counts. While the server does
    not decide, `why_away` is the reason, in one line. `remember`, if it is set, is called in a
    thread with each new number of machines.
    """

    def __init__(
        self,
        address: ServerAddress,
        rates: Sequence[Rate | None],
        machine: str,
        tally: Tally,
        *,
        wait_s: float = WAIT_S,
    ) -> None:
        self.why_away: str | None = None
        self.machines = max(1, tally.machines)
        self.tally = tally
        self.remember: Callable[[int], object] | None = None
        self._remembering: asyncio.Task[object] | None = None
        self._address = address
        self._machine = machine
        clock = ServerClock(time.monotonic)
        self._plan = LinePlan(packed_rates(rates), wait_s, clock, tally)
        self._line: Line | None = None

    def ask(self, ask: Ask) -> Decided | None:
        """Return the future answer, which is None if the caller must decide; None if it must now.

        An answer comes within `wait_s`.
        """
        return self._line.ask(ask) if self._line else None

    async def check(self) -> None:
        """Try the server once. Raises ServerRefused; a server that is away is logged."""
        try:
            line = await self._open()
        except ServerRefused:
            raise
        except ServerAway as error:
            self._failed(str(error))
        else:
            line.connection.close()

    async def run(self) -> None:
        """Keep the server deciding, until the task is cancelled."""
        pause_s = _PAUSE_MIN_S
        while True:
            try:
                line = await self._open()
                try:
                    await self._serve(line)
                finally:
                    self._line = None
                    line.connection.close()
            except ServerAway as error:
                self._failed(str(error))
            pause_s = _PAUSE_MIN_S if self.why_away is None else min(2 * pause_s, _PAUSE_MAX_S)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 (spreads workers)

    async def _open(self) -> Line:
        """Return a line to a server that has just registered this machine. Raises ServerAway."""
        try:
            async with asyncio.timeout(SILENCE_S):
                connection = await Connection.open(self._address)
                try:
                    script = await connection.request("SCRIPT", "LOAD", TAKE)
                    await self._register(connection)
                except BaseException:
                    connection.close()
                    raise
        except TimeoutError as error:
            raise ServerAway(f"no reply within {SILENCE_S:g} s") from error
        return Line(connection, script, self._plan)

    async def _serve(self, line: Line) -> None:
        """Ask on this line until it fails. Raises ServerAway."""
        self._line = line
        if self.why_away is None:
            self._decides()
        while True:
            await asyncio.wait({line.connection.lost}, timeout=REGISTERED_EVERY_S)
            if line.connection.lost.done():
                raise ServerLost(line.why_failed or "the connection was lost")
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._register(line.connection)
            except TimeoutError as error:
                raise ServerAway(f"no reply within {SILENCE_S:g} s") from error
            if 2 * line.late > line.sent:
                self._failed(f"most replies take longer than {self._plan.wait_s * 1000:g} ms")
            else:
                self._decides()
            line.sent = line.late = 0

    async def _register(self, connection: Connection) -> None:
        reply = await connection.request(
            "EVAL", _REGISTER, 1, _MACHINES_KEY, self._machine, MACHINE_S
        )
        unix_s, microseconds, machines = map(int, reply)
        self._plan.clock.observe(unix_s - EPOCH_S + microseconds / 1e6)
        if machines not in (0, self.machines):
            self.machines = machines
            if self.remember:
                remembering = asyncio.to_thread(self.remember, machines)
                self._remembering = asyncio.create_task(remembering)

    def _failed(self, why: str) -> None:
        """Note that the server does not decide; log it unless that is known."""
        has_decided, self.why_away = self.why_away is None, why
        if has_decided:
            fields = {"server": str(self._address), "why": why, "machines": self.machines}
            log.warning("the throttle's server does not decide", extra={"fields": fields})
        self.tally.server(is_up=False, machines=self.machines)

    def _decides(self) -> None:
        """Note that the server decides; log it unless that is known."""
        if self.why_away is not None:
            fields = {"server": str(self._address), "machines": self.machines}
            log.info("the throttle's server decides again", extra={"fields": fields})
        self.why_away = None
        self.tally.server(is_up=True, machines=self.machines)
