"""Processes of this machine as workers: they die alone, and not without their driver."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from engine_tools import compact_by, draws_progress, failing, fails_beside, rows, seal_round
from log_tools import Shop

from etl.lake.engines import processes, tasks
from etl.lake.engines.processes import LocalProcesses
from etl.lake.engines.workers import WorkersFailed
from etl.lake.errors import LakeError

T = TypeVar("T")
R = TypeVar("R")


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalProcesses]:
    with processes.opened(2) as opened:
        yield opened


def test_two_processes_make_the_tables_of_one(tmp_path: Path, workers: LocalProcesses) -> None:
    """From the same segments, in two runs."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for number in range(2):
        for shop in (one, many):
            seal_round(shop, random.Random(number), number)
        one.compact()
        assert compact_by(many, workers).duplicates
        assert rows(many) == rows(one)


def test_the_error_of_a_task_is_raised_here(workers: LocalProcesses) -> None:
    """As the task raised it; the workers go on."""
    with pytest.raises(LakeError, match="too bad"):
        workers.map(failing, ["too bad"])
    assert workers.map(str, [1]) == ["1"]


def test_no_task_runs_on_after_a_failure(tmp_path: Path, workers: LocalProcesses) -> None:
    """The caller gives the lake's lock away."""
    started, ended = tmp_path / "started", tmp_path / "ended"
    with pytest.raises(FileNotFoundError):
        workers.map(fails_beside, [(started, ended), (started, None)])
    assert ended.exists()


def test_there_are_as_many_workers_as_memory_suffices_for() -> None:
    """And never none."""
    assert processes.usable(0) == 1
    assert processes.usable(1 << 30) == 1
    assert processes.usable(1 << 50) == len(os.sched_getaffinity(0))


def test_a_task_draws_no_progress(tmp_path: Path, workers: LocalProcesses) -> None:
    """Stdout is for the outcome of the command."""
    assert workers.map(draws_progress, [tmp_path]) == [False]


class Struck:
    """Workers of which one is killed instead of writing."""

    parallel = 2

    def __init__(self, workers: LocalProcesses) -> None:
        self._workers = workers

    def map(self, function: Callable[[T], R], work: Sequence[T]) -> list[R]:
        """Run the tasks that read."""
        if function is tasks.write:
            self._workers.map(signal.raise_signal, [signal.SIGKILL])
        return self._workers.map(function, work)


def test_the_death_of_a_worker_loses_nothing(tmp_path: Path) -> None:
    """The error names a likely cause, and what to do; the next compaction takes the same lines."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for shop in (one, many):
        seal_round(shop, random.Random(3), 0)
    one.compact()
    with processes.opened(2) as opened, pytest.raises(WorkersFailed, match="was killed"):
        compact_by(many, Struck(opened))
    assert many.query("SELECT version FROM snapshot") == [(0,)]
    many.compact()
    assert rows(many) == rows(one)
