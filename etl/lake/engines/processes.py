"""Workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from etl.lake.engines.workers import WorkersFailed

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """Processes that were started afresh, so that they share no thread and no lock."""

    executor: ProcessPoolExecutor
    parallel: int

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Return the result of each task: see `Workers`."""
        try:
            return list(self.executor.map(function, tasks))
        except BrokenProcessPool as error:
            raise WorkersFailed(
                "compaction: a worker process was killed, perhaps for lack of memory; nothing is "
                "lost: run it again, or with fewer --processes"
            ) from error


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


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
