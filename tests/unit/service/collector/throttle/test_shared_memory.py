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
from examples import STRIDE
from hypothesis import given
from hypothesis import strategies as st

from service.collector.throttle import shared_memory
from service.collector.throttle.shared_memory import OverLimit, SharedThrottle
from service.collector.throttle.token_bucket import Decision, MemoryThrottle, Rate

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
        st.integers(min_value=-1, max_value=51).filter(bool),
    ),
    max_size=100,
)


def allow(throttle: SharedThrottle, key: str, now: float, cost: int = 1) -> Decision:
    """Take from the bucket of its only rate."""
    try:
        decision = throttle.take(key, now, (cost,))
    except OverLimit as refused:
        assert refused.number == 0
        return refused.decision
    assert decision is not None
    return decision


def refusal(throttle: SharedThrottle, key: str, now: float, *costs: int) -> tuple[int, int]:
    """Which bucket refuses, and what it holds."""
    with pytest.raises(OverLimit) as refused:
        throttle.take(key, now, costs)
    return refused.value.number, refused.value.decision.remaining


def told(throttle: SharedThrottle, key: str, now: float, *costs: int) -> tuple[int, int]:
    """The limit of the first bucket that is asked, and what it holds afterwards."""
    decision = throttle.take(key, now, costs)
    assert decision is not None
    assert decision.allowed
    return decision.limit, decision.remaining


def outcome(decide: Callable[[], Decision]) -> object:
    """The decision, or what is said of a cost that can never pass."""
    try:
        return decide()
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
    """Return the results of `count` processes that do the same work at once."""
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
        expected = outcome(lambda asked=asked: memory.allow(*asked))
        assert outcome(lambda asked=asked: allow(shared, *asked)) == expected
    assert len(shared) == len(memory)


@pytest.mark.parametrize("key", ["", "k" * 1_000_000, "ñandú ☂ 🐝", "\0", "a\nb", "\udc80"])
def test_any_text_is_a_key(key: str) -> None:
    """Empty, huge, not even encodable: each has a bucket of its own."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1))
    assert allow(throttle, key, 0.0).allowed
    assert not allow(throttle, key, 0.0).allowed
    assert allow(throttle, f"{key}.", 0.0).allowed


@given(
    st.integers(min_value=1, max_value=40),
    st.lists(st.tuples(st.integers(0, 99), st.floats(0, 10)), max_size=100),
)
def test_holds_at_most_keys_max(keys_max: int, requests: list[tuple[int, float]]) -> None:
    """The number of keys is bounded, whoever asks."""
    throttle = SharedThrottle(Rate(per_s=1, burst=2), keys_max=keys_max)
    for key, now in requests:
        allow(throttle, str(key), now)
        assert len(throttle) <= keys_max


def test_holds_most_of_keys_max() -> None:
    """Keys spread over the table: three quarters of its size fit, but for a few."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1), keys_max=16_000)
    for key in range(12_000):
        allow(throttle, str(key), key / 1e6)
    assert len(throttle) > 11_500


def test_forgets_a_full_bucket_first() -> None:
    """That loses nothing, even where it was used last."""
    throttle = SharedThrottle(Rate(per_s=1, burst=10), keys_max=2)
    allow(throttle, "drained", 0.0, 10)
    allow(throttle, "full", 5.0)
    assert allow(throttle, "new", 7.0).allowed
    assert allow(throttle, "drained", 7.0).remaining == 6
    assert len(throttle) == 2


def test_forgets_the_least_recently_used() -> None:
    """A refused key is in use: pushing at the limit is no way to be forgotten."""
    throttle = SharedThrottle(Rate(per_s=0.01, burst=1), keys_max=2)
    allow(throttle, "old", 0.0)
    allow(throttle, "other", 1.0)
    assert not allow(throttle, "old", 2.0).allowed
    allow(throttle, "new", 3.0)
    assert not allow(throttle, "old", 4.0).allowed
    assert allow(throttle, "other", 5.0).allowed


def test_is_never_unlimited() -> None:
    """A table without room for a key is refused."""
    with pytest.raises(ValueError, match="keys_max"):
        SharedThrottle(Rate(per_s=1, burst=1), keys_max=0)


# -- several rates ----------------------------------------------------------------------------


def test_takes_from_all_buckets_of_a_key_or_from_none() -> None:
    """The first that refuses says so, and the others keep what they hold."""
    throttle = SharedThrottle(Rate(per_s=1, burst=3), Rate(per_s=10, burst=100))
    assert told(throttle, "a", 0.0, 1, 60) == (3, 2)
    assert refusal(throttle, "a", 0.0, 1, 60) == (1, 40)
    assert told(throttle, "a", 0.0, 1, 40) == (3, 1)
    assert told(throttle, "b", 0.0, 1, 100) == (3, 2)
    assert refusal(throttle, "a", 2.0, 1, 21) == (1, 20)
    assert told(throttle, "a", 2.0, 1, 20) == (3, 2)


def test_a_cost_of_nothing_asks_nothing() -> None:
    """Nor does a rate of None; where nothing is asked no key is held."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1), None, Rate(per_s=1, burst=9))
    assert throttle.take("a", 0.0, (0, 7, 0)) is None
    assert len(throttle) == 0
    assert told(throttle, "a", 0.0, 0, 7, 9) == (9, 0)
    assert refusal(throttle, "a", 0.0, 1, 0, 1) == (2, 0)
    assert told(throttle, "a", 0.0, 1, 0, 0) == (1, 0)


@given(
    st.lists(RATES, min_size=2, max_size=3),
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.floats(0, 10),
            st.lists(st.integers(0, 60), min_size=3, max_size=3),
        ),
        max_size=100,
    ),
)
def test_each_bucket_is_one_of_its_own_rate(
    rates: list[Rate], requests: list[tuple[str, float, list[int]]]
) -> None:
    """Each decides as a throttle with that rate alone would that had seen what passed."""
    throttle = SharedThrottle(*rates, keys_max=160)
    alone = [MemoryThrottle(rate) for rate in rates]
    now = 0.0
    for key, gap_s, wanted in requests:
        now += gap_s
        costs = [min(cost, rate.burst) for cost, rate in zip(wanted, rates, strict=False)]
        asked = [number for number, cost in enumerate(costs) if cost]
        try:
            decision = throttle.take(key, now, costs)
        except OverLimit as refused:
            number = refused.number
            assert refused.rate == rates[number]
            assert refused.decision == alone[number].allow(key, now, costs[number])
        else:
            decisions = [alone[number].allow(key, now, costs[number]) for number in asked]
            assert all(one.allowed for one in decisions)
            assert decision == (decisions[0] if decisions else None)


def test_forgets_a_key_whose_buckets_are_all_full_first() -> None:
    """One that is drained is reason enough to stay."""
    throttle = SharedThrottle(Rate(per_s=1, burst=10), Rate(per_s=0.1, burst=10), keys_max=2)
    throttle.take("drained", 0.0, (1, 10))
    throttle.take("full", 5.0, (1, 0))
    throttle.take("new", 7.0, (1, 0))
    assert refusal(throttle, "drained", 7.0, 0, 1) == (1, 0)


def test_leaves_no_descriptor_behind() -> None:
    """A throttle that is gone holds no file."""
    before = set(os.listdir("/proc/self/fd"))
    allow(SharedThrottle(Rate(per_s=1, burst=1)), "a", 0.0)
    assert set(os.listdir("/proc/self/fd")) <= before


# -- many processes ---------------------------------------------------------------------------


def test_what_one_process_takes_another_has_not() -> None:
    """A child's request counts for its parent, and for the next child."""
    throttle = SharedThrottle(Rate(per_s=1, burst=3))
    for left in (2, 1):
        assert results_of(1, lambda: allow(throttle, "a", 0.0).remaining) == [left]
    assert [allow(throttle, "a", 0.0).allowed for _ in range(2)] == [True, False]


def test_eight_processes_share_a_burst_exactly() -> None:
    """While the clock stands still, not one token is lost or taken twice."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1000))
    keys = ["a", "b", "c"]

    def admitted() -> list[int]:
        decisions = [[allow(throttle, key, 1.0).allowed for key in keys] for _ in range(1500)]
        return [sum(each) for each in zip(*decisions, strict=True)]

    totals = [sum(each) for each in zip(*results_of(8, admitted), strict=True)]
    assert totals == [1000, 1000, 1000]


def test_eight_processes_agree_on_new_keys() -> None:
    """A key that many see first at the same moment has one bucket."""
    throttle = SharedThrottle(Rate(per_s=1, burst=1), keys_max=16_000)
    new = [str(key) for key in range(1000)]
    admitted = results_of(8, lambda: sum(allow(throttle, key, 1.0).allowed for key in new))
    assert sum(admitted) == len(new) == len(throttle)


def test_eight_processes_at_one_key_get_the_burst_and_the_rate() -> None:
    """Not one token more or less, by the clock that they see; what they left is counted in."""
    rate = Rate(per_s=2000, burst=20_000)  # of ten seconds, so that no pause overflows it
    throttle = SharedThrottle(rate)
    started = FORK.Barrier(8)
    began_s = time.monotonic()
    assert allow(throttle, "a", began_s, rate.burst).allowed

    def hammer() -> tuple[int, float]:
        started.wait()
        until_s = time.monotonic() + 1.0
        admitted = 0
        while (now := time.monotonic()) < until_s or not admitted:
            admitted += allow(throttle, "a", now).allowed
            last_s = now
        return admitted, last_s

    admitted, last_s = zip(*results_of(8, hammer), strict=True)
    left = sum(allow(throttle, "a", max(last_s)).allowed for _ in range(rate.burst))
    due = rate.per_s * (max(last_s) - began_s)
    assert due - 1 <= sum(admitted) + left <= due + 1


# -- processes that are killed ----------------------------------------------------------------


@pytest.mark.interpreted
def test_a_killed_holder_of_a_lock_holds_up_nobody() -> None:
    """Who waited for it goes on at once."""
    throttle = SharedThrottle(Rate(per_s=1, burst=3))
    reading, writing = os.pipe()

    def hold(*_: object) -> None:
        os.write(writing, b".")
        signal.pause()

    def take_and_hold() -> None:
        throttle._decide = hold  # type: ignore[assignment,method-assign]
        allow(throttle, "a", 0.0)

    with forked(take_and_hold) as holder:
        assert os.read(reading, 1) == b"."
        with forked(lambda: allow(throttle, "a", 0.0).remaining) as waiting:
            assert not waiting.result.poll(0.3)
            holder.kill()
            assert waiting.result.poll(60)
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
        return count if frame.f_code.co_filename == shared_memory.__file__ else None

    def traced() -> None:
        sys.settrace(trace)
        work()
        sys.settrace(None)

    with forked(traced) as process:
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}
        return bool(process.exitcode)


@pytest.mark.interpreted
@pytest.mark.parametrize(
    ("keys_max", "key", "held"),
    [(2, "new", 10), (2, "drained", 7), (2, "full", 10), (1, "new", 10)],
)
def test_a_kill_at_any_line_leaves_every_bucket_valid(keys_max: int, key: str, held: int) -> None:
    """Its own key's as it was or as it should be, another's as it was, and no lock held."""
    killed, line = True, 0
    while killed:
        throttle = SharedThrottle(Rate(per_s=1, burst=10), keys_max=keys_max)
        allow(throttle, "full", 0.0)
        allow(throttle, "drained", 0.0, 10)
        killed = killed_at(line, lambda throttle=throttle: allow(throttle, key, 7.0))
        assert len(throttle) <= keys_max
        left = allow(throttle, key, 7.0).remaining
        assert left == held - 2 or (killed and left == held - 1)
        if keys_max > 1 and key != "drained":
            assert allow(throttle, "drained", 7.0).remaining == 6
        line += STRIDE
    assert line > 10
