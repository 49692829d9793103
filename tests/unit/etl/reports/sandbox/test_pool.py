"""The pool of worker processes: when a spare one is started."""

import pytest

from etl.lake.live.view import LiveView
from etl.reports.sandbox import Sandbox, pool


class Worker:
    """A worker process that only counts."""

    started = 0
    is_alive = True

    def __init__(self) -> None:
        Worker.started += 1

    def end(self) -> None:
        """Count it no longer."""
        Worker.started -= 1


@pytest.fixture
def sandbox(tmp_path, monkeypatch) -> Sandbox:
    monkeypatch.setattr(pool, "WorkerProcess", Worker)
    monkeypatch.setattr(Worker, "started", 0)
    return Sandbox(LiveView(tmp_path, None), 1.0)


def test_up_to_the_maximum_of_spares_is_ready(sandbox):
    """One, unless the pool is made for more."""
    for _ in range(3):
        sandbox.start_spare()
    assert Worker.started == 1


def test_a_closed_pool_starts_no_spare(sandbox):
    """The query that ran while the pool was closed would leave a process behind."""
    sandbox.start_spare()
    sandbox.close()
    sandbox.start_spare()
    assert Worker.started == 0
