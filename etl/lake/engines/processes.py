"""Workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from etl.lake.engines.workers import WorkersFailed

T = TypeVar("T")
R = TypeVar("R")

_MEMORY = Path("/proc/meminfo")
_WORKER_BYTES = 1 << 30
"""A task's DuckDB takes up to half of it, and Python, Arrow and the keys have the rest."""


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """Processes that were started afresh, so that they share no thread and no lock."""

    executor: ProcessPoolExecutor
    parallel: int

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Return the result of each task: see `Workers`."""
        try:
            return self._results(function, tasks)
        except BrokenProcessPool as error:
            raise WorkersFailed(
                "compaction: a worker process was killed, perhaps for lack of memory, or could not "
                "start; nothing is lost: run it again, or with fewer --processes"
            ) from error

    def _results(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        results = [self.executor.submit(function, task) for task in tasks]
        try:
            return [result.result() for result in results]
        finally:  # after a failure too, no task runs on without the lake's lock
            wait([result for result in results if not result.cancel()])


def usable(available_bytes: int | None = None) -> int:
    """Return how many workers this machine has cores and memory for; at least 1.

    `available_bytes`: of memory; by default as the kernel estimates it.
    """
    if available_bytes is None:
        available_bytes = _available_bytes()
    return max(1, min(len(os.sched_getaffinity(0)), available_bytes // _WORKER_BYTES))


def _available_bytes() -> int:
    line = next(
        line for line in _MEMORY.read_text().splitlines() if line.startswith("MemAvailable")
    )
    return int(line.split()[1]) << 10


@contextmanager
def opened(number: int) -> Iterator[LocalProcesses]:
    """Start processes as tasks need them, at most `number`, and end them."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, context, initializer=_follow_driver) as executor:
        yield LocalProcesses(executor, number)


def _follow_driver() -> None:
    """End this process with its driver, and leave an interrupt to the driver.

    The driver may be killed, and the pool's workers would then wait for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)
