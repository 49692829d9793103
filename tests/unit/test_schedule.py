"""The schedule: jobs run at once and again, never beside themselves, and one that fails runs on."""

import logging
import threading

import pytest

from etl.schedule import Schedule

WAIT_S = 20.0


@pytest.fixture
def schedule():
    schedule = Schedule()
    yield schedule
    schedule.stop(WAIT_S)


def test_a_job_runs_at_once_and_again(schedule):
    """The first run does not wait for the interval."""
    runs = threading.Semaphore(0)
    schedule.every(0.01, "job", runs.release)
    schedule.start()
    for _ in range(3):
        assert runs.acquire(timeout=WAIT_S)


def test_a_first_run_does_not_wait_for_a_long_interval(schedule):
    """However long that is."""
    ran = threading.Event()
    schedule.every(3600, "job", ran.set)
    schedule.start()
    assert ran.wait(WAIT_S)


def test_a_job_that_fails_is_reported_and_runs_again(schedule, caplog):
    """With its name and the error; the others go on."""
    runs, others = threading.Semaphore(0), threading.Semaphore(0)

    def failing():
        runs.release()
        raise ValueError("no luck")

    schedule.every(0.01, "failing", failing)
    schedule.every(0.01, "other", others.release)
    with caplog.at_level(logging.ERROR, "etl.schedule"):
        schedule.start()
        for counted in (runs, others):
            for _ in range(3):
                assert counted.acquire(timeout=WAIT_S)
        assert schedule.stop(WAIT_S)
    reports = [entry for entry in caplog.records if entry.name == "etl.schedule"]
    assert reports
    assert {entry.fields["job"] for entry in reports} == {"failing"}
    assert str(reports[0].exc_info[1]) == "no luck"


def test_a_job_never_overlaps_itself_and_late_runs_are_one(schedule):
    """A run that takes longer than the interval is followed by one, not by all that were due."""
    inside, most = 0, 0
    lock = threading.Lock()
    runs, proceed = threading.Semaphore(0), threading.Semaphore(0)

    def slow():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        runs.release()
        proceed.acquire(timeout=WAIT_S)
        with lock:
            inside -= 1

    ticks = threading.Semaphore(0)
    schedule.every(0.01, "slow", slow)
    schedule.every(0.01, "tick", ticks.release)
    schedule.start()
    assert runs.acquire(timeout=WAIT_S)
    for _ in range(20):
        assert ticks.acquire(timeout=WAIT_S)
    assert not runs.acquire(blocking=False)
    proceed.release()
    assert runs.acquire(timeout=WAIT_S)
    for _ in range(100):
        proceed.release()
    assert schedule.stop(WAIT_S)
    assert most == 1


def test_stopping_waits_for_the_run_under_way(schedule):
    """And says whether it ended in time."""
    started, proceed, ended = threading.Event(), threading.Event(), threading.Event()

    def job():
        started.set()
        proceed.wait(WAIT_S)
        ended.set()

    schedule.every(3600, "job", job)
    schedule.start()
    assert started.wait(WAIT_S)
    assert not schedule.stop(0.01)
    assert not ended.is_set()
    proceed.set()
    assert ended.wait(WAIT_S)
