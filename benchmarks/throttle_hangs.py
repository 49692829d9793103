"""The time until a decision of the throttle is made while its Valkey server hangs.

The server is stopped again and again. Each time, the decisions of one turn of a worker wait for it
in vain, and are then left to the machine; the later ones of the same hang do not wait.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from statistics import quantiles

import uvloop

from benchmarks.rounds import BenchmarkFailed, markdown, tell
from benchmarks.size import Size, run_alone
from benchmarks.throttle_server import START_S, TOGETHER, Worker, server

HANGS, QUICK_HANGS = 500, 10
_POLL_S = 0.001


def run(size: Size) -> str:
    """Return the table: a row per number of decisions in a turn."""
    from service.collector.throttle.valkey.server import WAIT_S  # noqa: PLC0415  (an extra)

    tell("throttle by a server that hangs")
    hangs = HANGS if size.scale >= 1 else QUICK_HANGS
    rows = []
    with server() as (url, pid), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        worker = Worker(url, wait_s=WAIT_S)
        running = runner.run(worker.start())
        for together in TOGETHER:
            turns_ms = [1_000 * runner.run(_hung_s(worker, pid, together)) for _ in range(hangs)]
            cuts = quantiles(turns_ms, n=100, method="inclusive")
            shown = (f"{each:.2f}" for each in (cuts[49], cuts[98], max(turns_ms)))
            rows.append((together, hangs, *shown))
        running.cancel()
    heads = ("decisions per turn", "hangs", "p50 ms", "p99 ms", "longest ms")
    intro = (
        "Milliseconds until the first decisions of a hang are made. A reply is awaited for "
        f"{1_000 * WAIT_S:g} ms.\n\n"
    )
    return "## Throttle by a server that hangs\n\n" + intro + markdown(heads, rows)


async def _hung_s(worker: Worker, pid: int, together: int) -> float:
    """Return the seconds that so many decisions of one turn take in a hang."""
    while True:
        await _decides(worker)
        with _stopped(pid):
            began_s = time.perf_counter()
            asked = [worker.server.ask(ask) for ask in islice(cycle(worker.asks), together)]
            answers = await asyncio.gather(*(each for each in asked if each))
            took_s = time.perf_counter() - began_s
        if all(asked) and not any(answers):  # else it has replied before it stopped
            return took_s


async def _decides(worker: Worker) -> None:
    """Wait until the server decides. Raises BenchmarkFailed."""
    deadline_s = time.monotonic() + START_S
    while not ((asked := worker.server.ask(worker.asks[0])) and await asked):
        if time.monotonic() > deadline_s:
            raise BenchmarkFailed(f"the server does not decide: {worker.server.why_away}")
        await asyncio.sleep(_POLL_S)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """Stop a process, and let it go on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    run_alone(__doc__, run)
