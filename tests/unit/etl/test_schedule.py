"""The schedule: jobs run at once and again, never beside themselves, and one that fails runs on."""

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from manual_clock import ManualClock

from etl.schedule import Every, MonotonicTime, Schedule

WAIT_S = 60.0


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


def test_every_time_is_read_from_the_clock_that_is_passed_in():
    """A job is due by that clock alone; the scheduler itself is only woken."""
    clock = ManualClock(1000.0)
    schedule = Schedule(clock)
    runs = threading.Semaphore(0)
    schedule.every(60, "job", runs.release)
    schedule.start()
    try:
        assert runs.acquire(timeout=WAIT_S)
        schedule._scheduler.wakeup()
        assert not runs.acquire(timeout=0.1)
        clock.now_s += 61
        schedule._scheduler.wakeup()
        assert runs.acquire(timeout=WAIT_S)
    finally:
        schedule.stop(WAIT_S)


@pytest.mark.parametrize("wall_s", [0, 1_795_407_000, 4_000_000_000])
def test_the_wall_clock_is_never_asked(wall_s):
    """Whatever it says, the zone's time is the passed-in clock's, and so is that of its `now`."""
    zone = MonotonicTime(ManualClock(1000.0))
    assert zone.fromutc(datetime.fromtimestamp(wall_s, UTC).replace(tzinfo=zone)) == zone.now()
    assert datetime.now(zone) == zone.now()
    assert zone.now() - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(seconds=1000)


def test_missed_times_are_skipped_without_listing_them():
    """After 56 years the next time is one interval away, found in one step."""
    zone = MonotonicTime(ManualClock(0.0))
    trigger, first = Every(60), zone.now()
    assert trigger.get_next_fire_time(None, first) == first
    assert trigger.get_next_fire_time(first, first) == first + timedelta(seconds=60)
    late = first + timedelta(days=56 * 365, seconds=1)
    assert trigger.get_next_fire_time(first, late) == late + timedelta(seconds=59)
