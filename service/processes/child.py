"""When a child process should end: on SIGTERM, or when its supervisor is gone."""

from __future__ import annotations

import asyncio
import signal


def stop_event(lifeline: int) -> asyncio.Event:
    """An event of the running loop, set by SIGTERM or by the end of the lifeline pipe."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def supervisor_gone() -> None:
        loop.remove_reader(lifeline)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(lifeline, supervisor_gone)
    return stop
