"""The cost of a decision of the throttle: in one process, shared, and shared by two at once.

Run by `python benchmarks/throttle.py`. Prints microseconds a decision, reading the clock included,
as medians of interleaved rounds: of processor time, and of the time that passed, which is longer
where the processors have other work. Keys are known ones, or new to a full table, which then
forgets one each time. A shared table has a bucket of requests and one of bytes for each key. Two
processes with a table each, which wait for nothing, are the measure for two that share one.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from typing import NamedTuple

from service.collector.throttle.shared_memory import OverLimit, SharedThrottle
from service.collector.throttle.token_bucket import MemoryThrottle, Rate

ROUNDS = 9
DECISIONS = 50_000
KNOWN_KEYS = 10_000
KEYS_MAX = 20_000

RATE = Rate(per_s=10, burst=120)
BYTES_RATE = Rate.parse_bytes("4MiB/min burst 2MiB")
EVENT_BYTES = 300
FORK = multiprocessing.get_context("fork")


Allow = Callable[[str, float], object]


class Cost(NamedTuple):
    """Microseconds a decision."""

    passed_us: float
    processor_us: float


def cost(allow: Allow, keys: Sequence[str]) -> Cost:
    """Of asking once for each key."""
    clock = time.monotonic
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    for key in keys:
        allow(key, clock())
    passed_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return Cost(passed_s / len(keys) * 1e6, cpu_s / len(keys) * 1e6)


def cost_to_two(allow: Allow, keys: Sequence[str], others: Sequence[str]) -> Cost:
    """To the slower of two processes that start together."""
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


def addresses(first: int, count: int) -> list[str]:
    """Keys as the collector makes them."""
    numbers = range(first, first + count)
    return [f"ip:10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in numbers]


def cases() -> dict[str, Callable[[int], Cost]]:
    """Return the measurement for the number of the round."""
    memory = MemoryThrottle(RATE, KEYS_MAX).allow
    buckets = SharedThrottle(RATE, BYTES_RATE, keys_max=KEYS_MAX)
    known = addresses(0, KNOWN_KEYS) * (DECISIONS // KNOWN_KEYS)
    otherwise = random.Random(1).sample(known, len(known))
    one = known[:1] * DECISIONS

    def shared(key: str, now: float) -> object:
        try:
            return buckets.take(key, now, (1, EVENT_BYTES))
        except OverLimit:
            return None

    def unseen(number: int) -> list[str]:
        return addresses((number + 1) * DECISIONS, DECISIONS)

    return {
        "memory, known keys": lambda _: cost(memory, known),
        "shared, known keys": lambda _: cost(shared, known),
        "memory, new keys": lambda number: cost(memory, unseen(number)),
        "shared, new keys": lambda number: cost(shared, unseen(number)),
        "memory each, 2 processes": lambda _: cost_to_two(memory, known, otherwise),
        "shared, 2 processes": lambda _: cost_to_two(shared, known, otherwise),
        "shared, 2 processes, 1 key": lambda _: cost_to_two(shared, one, one),
    }


def main() -> None:
    """Print the table."""
    measured = cases()
    rounds = [{name: ask(number) for name, ask in measured.items()} for number in range(ROUNDS)]
    print(f"{'us a decision':28} {'processor':>9} {'passed':>9}")
    for name in measured:
        passed_us = statistics.median(costs[name].passed_us for costs in rounds)
        processor_us = statistics.median(costs[name].processor_us for costs in rounds)
        print(f"{name:28} {processor_us:9.2f} {passed_us:9.2f}")


if __name__ == "__main__":
    main()
