"""The trusted clock: never ahead, led astray by no step, and right again after a day."""

import pytest

from etl.trusted_clock import TRUSTED_AFTER_S, TrustedClock

START_S = 1_795_407_000.0
HOUR_S, DAY_S, YEAR_S = 3600.0, 86_400.0, 365 * 86_400.0


class Clocks:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = START_S, 100.0

    def pass_by(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def trusted(clocks: Clocks) -> TrustedClock:
    return TrustedClock(lambda: clocks.wall_s, lambda: clocks.monotonic_s)


def test_it_is_the_wall_clock_while_that_goes_evenly(clocks, trusted):
    """Drift, and what is slewed, included."""
    for _ in range(100):
        clocks.pass_by(HOUR_S)
        clocks.wall_s += 2
        assert trusted.now_s() == clocks.wall_s


@pytest.mark.parametrize("step_s", [HOUR_S, DAY_S, YEAR_S])
def test_a_step_forward_that_is_taken_back_was_never_believed(clocks, trusted, step_s):
    """However far."""
    clocks.wall_s += step_s
    clocks.pass_by(HOUR_S)
    assert trusted.now_s() == clocks.wall_s - step_s
    clocks.wall_s -= step_s
    assert trusted.now_s() == clocks.wall_s


def test_a_step_forward_is_believed_after_a_day(clocks, trusted):
    """As when a machine that started in 1970 is corrected; another step begins anew."""
    clocks.wall_s += 56 * YEAR_S
    assert trusted.now_s() < clocks.wall_s
    clocks.pass_by(TRUSTED_AFTER_S - 1)
    assert trusted.now_s() == clocks.wall_s - 56 * YEAR_S
    clocks.wall_s += HOUR_S
    clocks.pass_by(1)
    assert trusted.now_s() < clocks.wall_s
    clocks.pass_by(TRUSTED_AFTER_S)
    assert trusted.now_s() == clocks.wall_s
    clocks.pass_by(HOUR_S)
    assert trusted.now_s() == clocks.wall_s


def test_a_step_back_is_believed_at_once(clocks, trusted):
    """Deleting late does no harm."""
    clocks.wall_s -= YEAR_S
    assert trusted.now_s() == clocks.wall_s


def test_a_start_far_after_the_newest_data_is_doubted_for_a_day(clocks, trusted):
    """The clock may have been wrong at the start already."""
    trusted.doubt_after(START_S - 10 * DAY_S)
    clocks.pass_by(HOUR_S)
    assert trusted.now_s() == START_S - 10 * DAY_S + HOUR_S
    clocks.pass_by(TRUSTED_AFTER_S)
    assert trusted.now_s() == clocks.wall_s


def test_a_start_soon_after_the_newest_data_is_not(clocks, trusted):
    """The bound is not reached."""
    trusted.doubt_after(START_S + 1)
    assert trusted.now_s() == START_S
