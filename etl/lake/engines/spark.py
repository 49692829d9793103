"""Workers that are the executors of a Spark cluster.

Spark runs a task again whose worker died, and may run slow ones twice at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from etl import spark_session
from etl.lake.engines.workers import WorkersFailed

if TYPE_CHECKING:
    from pyspark import SparkContext

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SparkWorkers:
    """The executors of a Spark context."""

    context: SparkContext
    parallel: int

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Return the result of each task: see `Workers`."""
        return _collect(self.context, function, tasks)


@contextmanager
def opened(master: str) -> Iterator[SparkWorkers]:
    """Open a session on a Spark master; its default parallelism is the number of tasks at a time.

    Raises SparkUnavailable, WorkersFailed.
    """
    with spark_session.opened(master) as session:
        context = session.sparkContext
        # Before the first executor has started, Spark does not know the number of their cores.
        _collect(context, _nothing, [None])
        yield SparkWorkers(context, context.defaultParallelism)


def _collect(context: SparkContext, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    if not tasks:
        return []
    try:
        results: list[R] = context.parallelize(tasks, len(tasks)).map(function).collect()
    except spark_session.errors() as error:
        raise WorkersFailed(f"Spark: {spark_session.cause_of(error)}") from error
    return results


def _nothing(_: object) -> None:
    """Show that a worker can import this module."""
