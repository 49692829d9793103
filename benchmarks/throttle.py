"""What a decision of the throttle costs: within one process, shared, and shared by two at once.

Run by `python benchmarks/throttle.py`. Prints microseconds a decision, reading the clock included:
the median and the best of interleaved rounds. Keys are known ones, or new to a full table, which
then forgets one each time. Two processes with a table each, which wait for nothing, tell how much
slower the machine is with two at work.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from service.collector.shared_throttle import SharedThrottle
from service.collector.throttle import MemoryThrottle, Rate, Throttle

ROUNDS = 9
DECISIONS = 50_000
KNOWN_KEYS = 10_000
KEYS_MAX = 20_000

RATE = Rate(per_s=10, burst=120)
FORK = multiprocessing.get_context("fork")


def us_a_decision(throttle: Throttle, keys: Sequence[str]) -> float:
    """Ask once for each key."""
    allow, clock = throttle.allow, time.monotonic
    start_s = time.perf_counter()
    for key in keys:
        allow(key, clock())
    return (time.perf_counter() - start_s) / len(keys) * 1e6


def us_with_two_processes(throttle: Throttle, keys: Sequence[str], others: Sequence[str]) -> float:
    """The slower of two that start together."""
    together = FORK.Barrier(2)
    answers = FORK.SimpleQueue()

    def ask(keys: Sequence[str]) -> None:
        together.wait()
        answers.put(us_a_decision(throttle, keys))

    processes = [FORK.Process(target=ask, args=(each,)) for each in (keys, others)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return float(max(answers.get() for _ in processes))


def addresses(first: int, count: int) -> list[str]:
    """Keys as the collector makes them."""
    numbers = range(first, first + count)
    return [f"ip:10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in numbers]


def cases() -> dict[str, Callable[[int], float]]:
    """What is measured, by the number of the round."""
    memory, shared = MemoryThrottle(RATE, KEYS_MAX), SharedThrottle(RATE, KEYS_MAX)
    known = addresses(0, KNOWN_KEYS) * (DECISIONS // KNOWN_KEYS)
    otherwise = random.Random(1).sample(known, len(known))
    one = known[:1] * DECISIONS

    def unseen(number: int) -> list[str]:
        return addresses((number + 1) * DECISIONS, DECISIONS)

    return {
        "memory, known keys": lambda _: us_a_decision(memory, known),
        "shared, known keys": lambda _: us_a_decision(shared, known),
        "memory, new keys": lambda number: us_a_decision(memory, unseen(number)),
        "shared, new keys": lambda number: us_a_decision(shared, unseen(number)),
        "memory each, 2 processes": lambda _: us_with_two_processes(memory, known, otherwise),
        "shared, 2 processes": lambda _: us_with_two_processes(shared, known, otherwise),
        "shared, 2 processes, 1 key": lambda _: us_with_two_processes(shared, one, one),
    }


def main() -> None:
    """Print the table."""
    measured = cases()
    rounds = [{name: ask(number) for name, ask in measured.items()} for number in range(ROUNDS)]
    print(f"{'us a decision':34} median   best")
    for name in measured:
        times_us = [figures[name] for figures in rounds]
        print(f"{name:34} {statistics.median(times_us):6.2f} {min(times_us):6.2f}")


if __name__ == "__main__":
    main()
