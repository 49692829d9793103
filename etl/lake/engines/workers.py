"""The protocol of the processes that run tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from etl.lake.errors import LakeError

T = TypeVar("T")
R = TypeVar("R")


class WorkersFailed(LakeError):
    """The workers could not run a task. Its pass changed no table; run again."""


class Workers(Protocol):
    """Processes that see the data folder at the driver's path."""

    @property
    def parallel(self) -> int:
        """The number of tasks that they run at the same time."""

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Return the result of each task, in order. Some tasks may run more than once.

        Raises WorkersFailed, or the error of a task.
        """
