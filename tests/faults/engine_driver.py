"""A compaction by an engine whose driver kills itself between the two rounds of tasks."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from etl.lake import compaction
from etl.lake.compaction import CompactionPlan
from etl.lake.engines import opening, processes, spark
from etl.lake.engines.workers import Workers

T = TypeVar("T")
R = TypeVar("R")


class Deadly:
    """Workers of a driver that dies when they have run their first tasks."""

    def __init__(self, workers: Workers) -> None:
        self._workers, self.parallel = workers, workers.parallel

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Run the tasks, and die."""
        self._workers.map(function, tasks)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def main() -> None:
    """Compact the folder of the first argument, by processes or on the master of the second."""
    data, master = Path(sys.argv[1]), sys.argv[2]
    opened = processes.opened(2) if master == "processes" else spark.opened(master)
    with opened as workers:
        compaction.run(data, opening.by_workers(CompactionPlan(), Deadly(workers)), time.time())


if __name__ == "__main__":
    main()
