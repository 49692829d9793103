"""The collector's time: receipts never go back."""

import time

from hypothesis import given
from hypothesis import strategies as st

from service.collector.clock import Clock


@given(st.lists(st.integers(0, 10**19), min_size=1), st.integers(0, 10**16))
def test_receipts_never_go_back(readings_ns: list[int], last_us: int) -> None:
    """Whatever the system's clock does, and not even across a restart."""
    readings = iter(readings_ns)
    clock = Clock(latest_us=last_us, wall_ns=lambda: next(readings))
    stamps = [clock.now_us() for _ in readings_ns]
    assert [last_us, *stamps] == sorted([last_us, *stamps])


def test_a_clock_that_was_set_back_stands_still_until_it_is_passed() -> None:
    """Then it runs on by the system's time."""
    readings = iter([5_000_000, 3_000_000, 4_999_999, 6_000_999])
    clock = Clock(wall_ns=lambda: next(readings))
    assert [clock.now_us() for _ in range(4)] == [5_000, 5_000, 5_000, 6_000]


def test_by_default_the_system_tells_the_time() -> None:
    """Wall time in microseconds since the epoch, monotonic time in seconds."""
    clock = Clock()
    before_us, before_s = time.time_ns() // 1000, time.monotonic()
    stamp_us, measured_s = clock.now_us(), clock.monotonic_s()
    assert before_us <= stamp_us <= time.time_ns() // 1000
    assert before_s <= measured_s <= time.monotonic()
