"""A compaction by an engine whose driver kills itself between the two rounds of tasks, or of which
the first task of each round waits until a copy of it has begun.
"""

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

COPIED_S = 120.0
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


class Slow:
    """Workers of a Spark cluster. `copied`: a folder; a file per function of which a copy ran."""

    def __init__(self, workers: Workers, copied: Path) -> None:
        self._workers, self._copied, self.parallel = workers, copied, workers.parallel

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Run the tasks; the first one at the same time as its copy."""
        copy_began = self._copied / function.__name__
        deadline_s = COPIED_S

        def run(task: T) -> R:
            from pyspark import TaskContext

            context = TaskContext.get()
            assert context
            if context.attemptNumber():
                copy_began.touch()
            began_s = time.monotonic()
            while not context.partitionId() and not copy_began.exists():
                assert time.monotonic() - began_s < deadline_s, "no copy began"
                time.sleep(0.01)
            return function(task)

        return self._workers.map(run, tasks)


def main() -> None:
    """Compact the folder of the first argument, by processes or on the master of the second.

    With a third argument it is slow instead of deadly; that is the folder `copied`.
    """
    data, master, *copied = sys.argv[1:]
    opened = processes.opened(2) if master == "processes" else spark.opened(master)
    with opened as workers:
        chosen = Slow(workers, Path(copied[0])) if copied else Deadly(workers)
        compaction.run(Path(data), opening.by_workers(CompactionPlan(), chosen), time.time())


if __name__ == "__main__":
    main()
