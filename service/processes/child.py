"""The code that every child process shares: logs, event loop, and the request to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import uvloop

from service import logs


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`format` is text or json, `level` the name of a level."""

    format: str
    level: str


class Stop(asyncio.Event):
    """Set when the process is to end."""

    def __init__(self) -> None:
        super().__init__()
        self._now = asyncio.Event()

    @property
    def is_now(self) -> bool:
        """Whether the end may not be delayed: a successor waits for port or locks."""
        return self._now.is_set()

    def set_now(self) -> None:
        """Set it, and cut a delay off."""
        self._now.set()
        self.set()

    async def delay(self, delay_s: float) -> None:
        """Wait, unless or until the end may not be delayed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._now.wait(), delay_s)


def run(
    name: str,
    log_options: LogOptions,
    lifeline: int,
    serve: Callable[[Stop], Awaitable[int]],
) -> int:
    """Run `serve` in this process, which logs as `name`, and return the exit code.

    `lifeline` is the reading end of a pipe that ends when the supervisor dies. `serve` takes a stop
    that is set by SIGTERM or at the end of the pipe, and returns the exit code.
    """
    logs.configure(
        log_format=log_options.format, log_level=log_options.level, role=name, stream=sys.stderr
    )

    async def main() -> int:
        return await serve(_stop_event(lifeline))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _stop_event(lifeline: int) -> Stop:
    loop = asyncio.get_running_loop()
    stop = Stop()

    def supervisor_died() -> None:
        loop.remove_reader(lifeline)
        stop.set_now()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(lifeline, supervisor_died)
    return stop
