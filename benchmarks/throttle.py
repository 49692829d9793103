"""The cost of a decision of the throttle: in one process, shared, and shared by two at once.

Microseconds per decision, with the reading of the clock, in rounds that take turns: of processor
time, and of the time that passed, which is longer where the processors have other work. Keys are
the shops of users' events, or new to a full table, which then forgets one each time. A shared table
has a bucket of requests and one of bytes for each key. Two processes with a table each, which wait
for nothing, are the measure for two that share one.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, islice
from multiprocessing.queues import SimpleQueue
from typing import NamedTuple

from benchmarks import users
from benchmarks.figures import Figure
from benchmarks.rounds import interleaved, markdown, tell
from benchmarks.size import Size, run_alone
from service.collector.throttle.shared_memory import OverLimit, SharedThrottle
from service.collector.throttle.token_bucket import MemoryThrottle, Rate

DECISIONS = 50_000
KEYS_MAX = 20_000

RATE = Rate(per_s=10, burst=120)
BYTES_RATE = Rate.parse_bytes("4MiB/min burst 2MiB")
EVENT_BYTES = 300
FORK = multiprocessing.get_context("fork")


Allow = Callable[[str, float], object]


class Cost(NamedTuple):
    """Microseconds per decision."""

    passed_us: float
    processor_us: float


def cost(allow: Allow, keys: Sequence[str]) -> Cost:
    """Return the cost of asking once for each key."""
    clock = time.monotonic
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    for key in keys:
        allow(key, clock())
    passed_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return Cost(passed_s / len(keys) * 1e6, cpu_s / len(keys) * 1e6)


def cost_to_two(allow: Allow, keys: Sequence[str], others: Sequence[str]) -> Cost:
    """Return the cost to the slower of two processes that start together."""
    together = FORK.Barrier(2)
    answers: SimpleQueue[Cost] = FORK.SimpleQueue()

    def ask(keys: Sequence[str]) -> None:
        together.wait()
        answers.put(cost(allow, keys))

    processes = [FORK.Process(target=ask, args=(each,)) for each in (keys, others)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return max(answers.get() for _ in processes)


def shops(decisions: int) -> list[str]:
    """Return the keys of users' events, as the collector makes them."""
    listed = users.events(random.Random(1))
    return [f"tenant:{event.visit.shop}" for event in islice(listed, decisions)]


def addresses(first: int, count: int) -> list[str]:
    """Return keys that have not been seen before, as the collector makes them."""
    numbers = range(first, first + count)
    return [f"ip:10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in numbers]


def cases(decisions: int) -> dict[str, Callable[[], Cost]]:
    """Return the measurements by name."""
    memory = MemoryThrottle(RATE, KEYS_MAX).allow
    buckets = SharedThrottle(RATE, BYTES_RATE, keys_max=KEYS_MAX)
    known = shops(decisions)
    otherwise = random.Random(1).sample(known, len(known))
    one = known[:1] * decisions
    rounds = count(1)

    def shared(key: str, now: float) -> object:
        try:
            return buckets.take(key, now, (1, EVENT_BYTES))
        except OverLimit:
            return None

    def unseen() -> list[str]:
        return addresses(next(rounds) * decisions, decisions)

    return {
        "memory, known keys": lambda: cost(memory, known),
        "shared, known keys": lambda: cost(shared, known),
        "memory, new keys": lambda: cost(memory, unseen()),
        "shared, new keys": lambda: cost(shared, unseen()),
        "memory each, 2 processes": lambda: cost_to_two(memory, known, otherwise),
        "shared, 2 processes": lambda: cost_to_two(shared, known, otherwise),
        "shared, 2 processes, 1 key": lambda: cost_to_two(shared, one, one),
    }


def run(size: Size) -> str:
    """Return the table: a row per case."""
    tell("throttle")
    passed_us: dict[str, list[float]] = {}

    def measure(name: str, ask: Callable[[], Cost]) -> float:
        costs = ask()
        passed_us.setdefault(name, []).append(costs.passed_us)
        return costs.processor_us

    every = cases(size.events(DECISIONS))
    measured = interleaved(
        {name: partial(measure, name, ask) for name, ask in every.items()}, size.rounds
    )
    rows = [
        (name, result.figure.text(2), Figure.of(passed_us[name][1:]).text(2))
        for name, result in measured.results.items()
    ]
    heads = ("µs per decision", "processor", "passed")
    return "## Throttle\n\n" + markdown(heads, rows) + measured.note()


if __name__ == "__main__":
    run_alone(__doc__, run)
