"""The age of the tail: of what waits, since it was seen, unless a compaction gets further."""

from pathlib import Path

import pytest
from manual_clock import ManualClock

from etl.log.segments import Sealed
from service.web.private.tail_age import TailAge

INTERVAL_S = 60.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tail(clock: ManualClock) -> TailAge:
    return TailAge(clock)


def segment(number: int) -> Sealed:
    return Sealed("h-w0-aa", number, 1, 0, Path(f"{number}"))


def test_an_idle_log_has_no_age(clock, tail):
    """However long nothing comes."""
    clock.now_s += 10_000
    tail.observe([])
    assert (tail.oldest_s(), tail.why_not_ready(INTERVAL_S)) == (0.0, [])


def test_what_waits_for_several_intervals_is_told(clock, tail):
    """Since it was first seen, not since the start."""
    clock.now_s += 10_000
    tail.observe([segment(1)])
    clock.now_s += 300
    tail.observe([segment(1), segment(2)])
    assert tail.why_not_ready(INTERVAL_S) == []
    clock.now_s += 1
    assert tail.why_not_ready(INTERVAL_S) == [
        "events have waited for 301 s to be compacted, which is due every 60 s"
    ]
    tail.observe([])
    assert tail.why_not_ready(INTERVAL_S) == []


def test_a_backlog_that_is_worked_off_is_old_and_not_stalled(clock, tail):
    """Every pass begins the time anew."""
    backlog = [segment(number) for number in range(1, 100)]
    tail.observe(backlog)
    for done in range(1, 20):
        clock.now_s += 200
        tail.observe(backlog[done:])
        assert tail.why_not_ready(INTERVAL_S) == []
    assert tail.oldest_s() == 19 * 200
    clock.now_s += 301
    assert tail.why_not_ready(INTERVAL_S)


def test_an_interval_of_a_moment_is_not_taken_at_its_word(clock, tail):
    """A pass takes a few seconds."""
    tail.observe([segment(1)])
    clock.now_s += 15
    assert tail.why_not_ready(0.1) == []
    clock.now_s += 1
    assert tail.why_not_ready(0.1)
