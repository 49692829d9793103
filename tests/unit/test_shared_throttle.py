"""The shared token buckets: as one throttle, whichever processes ask and however they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector import shared_throttle
from service.collector.shared_throttle import SharedThrottle, SharedThrottles
from service.collector.throttle import MemoryThrottle, Rate

pytestmark = pytest.mark.timeout(60)

FORK = multiprocessing.get_context("fork")
RATES = st.builds(
    Rate,
    per_s=st.floats(min_value=0.01, max_value=10_000),
    burst=st.integers(min_value=1, max_value=50),
)
KEYS = st.text(st.characters(), max_size=20)
REQUESTS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=9),
        st.one_of(st.just(0.0), st.floats(0, 1), st.floats(-100, 1000)),
        st.integers(min_value=0, max_value=51),
    ),
    max_size=100,
)


def outcome(throttle: MemoryThrottle | SharedThrottle, key: str, now: float, cost: int) -> object:
    """The decision, or what is said of a cost that can never pass."""
    try:
        return throttle.allow(key, now, cost)
    except ValueError as error:
        return str(error)


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[Any]:
    """A process that does `work`, and the end of a pipe on which its result arrives."""
    here, there = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: there.send(work()))
    process.start()
    process.result = here
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()
        here.close()
        there.close()


def results_of(count: int, work: Callable[[], Any]) -> list[Any]:
    """What `count` processes, all at once, make of the same work."""
    if count == 0:
        return []
    with forked(work) as process:
        others = results_of(count - 1, work)
        return [process.result.recv(), *others]


# -- one process ------------------------------------------------------------------------------


@given(RATES, st.lists(KEYS, min_size=10, max_size=10, unique=True), st.floats(0, 1e7), REQUESTS)
def test_decides_as_a_throttle_within_one_process(
    rate: Rate, keys: list[str], start_s: float, requests: list[tuple[int, float, int]]
) -> None:
    """Whatever the keys, the costs and the clock, as long as no key is forgotten."""
    shared, memory = SharedThrottle(rate, keys_max=160), MemoryThrottle(rate)
    now = start_s
    for which, gap_s, cost in requests:
        now = max(0.0, now + gap_s)
        asked = (keys[which], now, cost)
        assert outcome(shared, *asked) == outcome(memory, *asked)
    assert len(shared) == len(memory)


@pytest.mark.parametrize("key", ["", "k" * 1_000_000, "ñandú ☂ 🐝", "\0", "a\nb", "\udc80"])
def test_any_text_is_a_key(key: str) -> None:
    """Empty, huge, not even encodable: each has a bucket of its own."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1))
    assert throttle.allow(key, 0.0).allowed
    assert not throttle.allow(key, 0.0).allowed
    assert throttle.allow(f"{key}.", 0.0).allowed


@given(
    st.integers(min_value=1, max_value=40),
    st.lists(st.tuples(st.integers(0, 99), st.floats(0, 10)), max_size=100),
)
def test_holds_at_most_keys_max(keys_max: int, requests: list[tuple[int, float]]) -> None:
    """The number of keys is bounded, whoever asks."""
    throttle = SharedThrottle(Rate(per_s=1, burst=2), keys_max=keys_max)
    for key, now in requests:
        throttle.allow(str(key), now)
        assert len(throttle) <= keys_max


def test_holds_most_of_keys_max() -> None:
    """Keys spread over the table: three quarters of its size fit, but for a few."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1), keys_max=16_000)
    for key in range(12_000):
        throttle.allow(str(key), key / 1e6)
    assert len(throttle) > 11_500


def test_forgets_a_full_bucket_first() -> None:
    """That loses nothing, even where it was used last."""
    throttle = SharedThrottle(Rate(per_s=1, burst=10), keys_max=2)
    throttle.allow("drained", 0.0, 10)
    throttle.allow("full", 5.0)
    assert throttle.allow("new", 7.0).allowed
    assert throttle.allow("drained", 7.0).remaining == 6
    assert len(throttle) == 2


def test_forgets_the_least_recently_used() -> None:
    """A refused key is in use: pushing at the limit is no way to be forgotten."""
    throttle = SharedThrottle(Rate(per_s=0.01, burst=1), keys_max=2)
    throttle.allow("old", 0.0)
    throttle.allow("other", 1.0)
    assert not throttle.allow("old", 2.0).allowed
    throttle.allow("new", 3.0)
    assert not throttle.allow("old", 4.0).allowed
    assert throttle.allow("other", 5.0).allowed


def test_is_never_unlimited() -> None:
    """A table without room for a key is refused."""
    with pytest.raises(ValueError, match="keys_max"):
        SharedThrottle(Rate(per_s=1, burst=1), keys_max=0)


def test_groups_do_not_share() -> None:
    """Each group with a rate has buckets of its own; one without has none."""
    rate = Rate(per_s=1, burst=1)
    groups = SharedThrottles.of(api=rate, tenant_aware=rate, processes=2)
    assert groups.api is not None
    assert groups.tenant_aware is not None
    assert groups.api.allow("a", 0.0).allowed
    assert groups.tenant_aware.allow("a", 0.0).allowed
    assert SharedThrottles.of(api=None, tenant_aware=None, processes=1) == SharedThrottles(
        None, None
    )


def test_leaves_no_descriptor_behind() -> None:
    """A throttle that is gone holds no file."""
    before = os.listdir("/proc/self/fd")
    SharedThrottle(Rate(per_s=1, burst=1)).allow("a", 0.0)
    assert os.listdir("/proc/self/fd") == before


# -- many processes ---------------------------------------------------------------------------


def test_what_one_process_takes_another_has_not() -> None:
    """A child's request counts for its parent, and for the next child."""
    throttle = SharedThrottle(Rate(per_s=1, burst=3))
    for left in (2, 1):
        assert results_of(1, lambda: throttle.allow("a", 0.0).remaining) == [left]
    assert [throttle.allow("a", 0.0).allowed for _ in range(2)] == [True, False]


def test_eight_processes_share_a_burst_exactly() -> None:
    """While the clock stands still, not one token is lost or taken twice."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1000))
    keys = ["a", "b", "c"]

    def admitted() -> list[int]:
        decisions = [[throttle.allow(key, 1.0).allowed for key in keys] for _ in range(1500)]
        return [sum(each) for each in zip(*decisions, strict=True)]

    totals = [sum(each) for each in zip(*results_of(8, admitted), strict=True)]
    assert totals == [1000, 1000, 1000]


def test_eight_processes_agree_on_new_keys() -> None:
    """A key that many see first at the same moment has one bucket."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1), keys_max=16_000)
    new = [str(key) for key in range(1000)]
    admitted = results_of(8, lambda: sum(throttle.allow(key, 1.0).allowed for key in new))
    assert sum(admitted) == len(new) == len(throttle)


def test_eight_processes_at_one_key_get_the_burst_and_the_rate() -> None:
    """Within one per cent, by the clock that they see; what they left is counted in."""
    rate = Rate(per_s=2000, burst=500)
    throttle = SharedThrottle(rate)
    until_s = time.monotonic() + 2.5

    def hammer() -> tuple[int, float, float]:
        admitted, first_s = 0, time.monotonic()
        last_s = now = first_s
        while now < until_s:
            admitted += throttle.allow("a", now).allowed
            last_s, now = now, time.monotonic()
        return admitted, first_s, last_s

    admitted, first_s, last_s = zip(*results_of(8, hammer), strict=True)
    left = sum(throttle.allow("a", max(last_s)).allowed for _ in range(rate.burst))
    due = rate.burst + rate.per_s * (max(last_s) - min(first_s))
    assert min(admitted) > 0
    assert 0.99 * due <= sum(admitted) + left <= due + 1


# -- processes that are killed ----------------------------------------------------------------


def test_a_killed_holder_of_a_lock_holds_up_nobody() -> None:
    """Who waited for it goes on at once."""
    throttle = SharedThrottle(Rate(per_s=1, burst=3))
    reading, writing = os.pipe()

    def hold(*_: object) -> None:
        os.write(writing, b".")
        signal.pause()

    def take_and_hold() -> None:
        throttle._decide = hold  # type: ignore[assignment,method-assign]
        throttle.allow("a", 0.0)

    with forked(take_and_hold) as holder:
        assert os.read(reading, 1) == b"."
        with forked(lambda: throttle.allow("a", 0.0).remaining) as waiting:
            assert not waiting.result.poll(0.3)
            holder.kill()
            assert waiting.result.poll(5)
            assert waiting.result.recv() == 2
    os.close(reading)
    os.close(writing)


def killed_at(line: int, work: Callable[[], object]) -> bool:
    """Whether a process that does `work` came to be killed at the throttle's `line`-th line."""
    left = line

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal left
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def trace(frame: FrameType, _event: str, _arg: object) -> Any:
        return count if frame.f_code.co_filename == shared_throttle.__file__ else None

    def traced() -> None:
        sys.settrace(trace)
        work()
        sys.settrace(None)

    with forked(traced) as process:
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}
        return bool(process.exitcode)


@pytest.mark.parametrize(
    ("keys_max", "key", "held"),
    [(2, "new", 10), (2, "drained", 7), (2, "full", 10), (1, "new", 10)],
)
def test_a_kill_at_any_line_leaves_every_bucket_valid(keys_max: int, key: str, held: int) -> None:
    """Its own key's as it was or as it should be, another's as it was, and no lock held."""
    killed, line = True, 0
    while killed:
        throttle = SharedThrottle(Rate(per_s=1, burst=10), keys_max)
        throttle.allow("full", 0.0)
        throttle.allow("drained", 0.0, 10)
        killed = killed_at(line, lambda throttle=throttle: throttle.allow(key, 7.0))
        assert len(throttle) <= keys_max
        left = throttle.allow(key, 7.0).remaining
        assert left == held - 2 or (killed and left == held - 1)
        if keys_max > 1 and key != "drained":
            assert throttle.allow("drained", 7.0).remaining == 6
        line += 1
    assert line > 10
