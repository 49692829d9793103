"""The token bucket: what it admits, what it tells, and what it may hold."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector.throttle.token_bucket import (
    Decision,
    MemoryThrottle,
    QuotaHeaders,
    Rate,
    RateSyntaxError,
    parse_bytes_rate,
    parse_rate,
    throttled_headers,
)

RATES = st.builds(
    Rate,
    per_s=st.floats(min_value=0.01, max_value=10_000),
    burst=st.integers(min_value=1, max_value=500),
)
STARTS_S = st.floats(min_value=0, max_value=1e7)
GAPS_S = st.lists(
    st.one_of(st.just(0.0), st.floats(min_value=0, max_value=1), st.floats(0, 1000)),
    max_size=100,
)


@pytest.mark.parametrize(
    ("text", "per_s", "burst"),
    [
        ("600/min burst 120", 10, 120),
        ("600/minute burst 120", 10, 120),
        ("10/s burst 20", 10, 20),
        ("10/sec burst 20", 10, 20),
        ("0.5/second burst 1", 0.5, 1),
        ("7200/h burst 10", 2, 10),
        ("  7200 / HOUR  BURST  10 ", 2, 10),
    ],
)
def test_reads_rates(text: str, per_s: float, burst: int) -> None:
    """A rate is written as a number a unit, and a burst."""
    assert Rate.parse(text) == Rate(per_s=per_s, burst=burst)
    assert parse_rate(text) == Rate(per_s=per_s, burst=burst)


@pytest.mark.parametrize(
    ("text", "per_s", "burst"),
    [
        ("60MiB/min burst 2MiB", 1 << 20, 2 << 20),
        ("1KiB/s burst 65536", 1024, 65536),
        ("1000000/s burst 1GiB", 1e6, 1 << 30),
        (" 1GiB / s  burst  1KiB ", 1 << 30, 1024),
    ],
)
def test_reads_rates_of_bytes(text: str, per_s: float, burst: int) -> None:
    """Either number may carry a binary unit."""
    assert Rate.parse_bytes(text) == Rate(per_s=per_s, burst=burst)
    assert parse_bytes_rate(text) == Rate(per_s=per_s, burst=burst)


@pytest.mark.parametrize("text", ["off", " OFF "])
def test_off_is_no_rate(text: str) -> None:
    """A group can be left unthrottled, in so many words."""
    assert parse_rate(text) is None
    assert parse_bytes_rate(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "4MiB", "4MB/min burst 2MB", "4mib/min burst 1", "4MiB/min burst 0", "2GiB/s burst 1"],
)
def test_refuses_what_is_no_rate_of_bytes(text: str) -> None:
    """With one line."""
    with pytest.raises(RateSyntaxError) as refused:
        parse_bytes_rate(text)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "600",
        "600/min",
        "600/min burst",
        "600/fortnight burst 1",
        "-1/s burst 1",
        "1e9/s burst 1",
        "nan/s burst 1",
        "0/s burst 1",
        "1/s burst 0",
        "1/s burst 1.5",
        "1/s burst 1 burst 2",
        "1000001/s burst 1",
        "1/hour burst 1000",
        "٣/s burst 1",
    ],
)
def test_refuses_what_is_no_rate(text: str) -> None:
    """A bad rate is refused with one line."""
    with pytest.raises(RateSyntaxError) as refused:
        parse_rate(text)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("per_s", [math.nan, math.inf, -1.0])
def test_a_rate_is_a_number(per_s: float) -> None:
    """A rate made in code obeys the same limits as a written one."""
    with pytest.raises(RateSyntaxError):
        Rate(per_s=per_s, burst=1)


@given(st.text())
def test_reading_a_rate_fails_in_one_way(text: str) -> None:
    """Any text is a rate, "off" or a RateSyntaxError."""
    with suppress(RateSyntaxError):
        parse_rate(text)


def test_a_burst_then_the_rate() -> None:
    """A new key may spend its burst at once, and then one request for each token refilled."""
    throttle = MemoryThrottle(Rate(per_s=10, burst=3))
    assert [throttle.allow("a", 100.0).remaining for _ in range(3)] == [2, 1, 0]
    refused = throttle.allow("a", 100.0)
    assert (refused.allowed, refused.limit, refused.remaining) == (False, 3, 0)
    assert refused.retry_after_s == pytest.approx(0.1)
    assert refused.full_after_s == pytest.approx(0.3)
    assert throttle.allow("a", 100.1).allowed
    assert not throttle.allow("a", 100.1).allowed


def test_keys_do_not_share() -> None:
    """One key's requests never use up another's."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=1))
    assert throttle.allow("a", 0.0).allowed
    assert not throttle.allow("a", 0.0).allowed
    assert throttle.allow("b", 0.0).allowed


@given(RATES, STARTS_S, GAPS_S, st.data())
def test_admits_at_most_burst_and_rate(
    rate: Rate, start_s: float, gaps_s: list[float], data: st.DataObject
) -> None:
    """Between any two moments at most burst + rate * elapsed is admitted."""
    throttle = MemoryThrottle(rate)
    costs = st.integers(min_value=1, max_value=rate.burst)
    now, taken, lowest = start_s, 0, math.inf
    for gap_s in gaps_s:
        now += gap_s
        # The start that would allow least by now: taken minus refilled, at its lowest so far.
        lowest = min(lowest, taken - rate.per_s * now)
        cost = data.draw(costs)
        taken += cost if throttle.allow("a", now, cost).allowed else 0
        assert taken - rate.per_s * now <= lowest + rate.burst + 2e-6 * rate.per_s + 1e-3


@given(RATES, STARTS_S, GAPS_S)
def test_remaining_is_within_the_limit(rate: Rate, start_s: float, gaps_s: list[float]) -> None:
    """The stated quota is always consistent, and the remainder may be taken at once."""
    throttle = MemoryThrottle(rate)
    now = start_s
    for gap_s in gaps_s:
        now += gap_s
        decision = throttle.allow("a", now)
        assert 0 <= decision.remaining <= decision.limit == rate.burst
        assert (decision.retry_after_s == 0) == decision.allowed
        assert decision.retry_after_s <= decision.full_after_s <= rate.refill_s + 1e-5
    if remaining := throttle.allow("a", now).remaining:
        assert throttle.allow("a", now, remaining).allowed


@given(RATES, STARTS_S, st.data())
def test_a_refusal_tells_when_to_come_back(rate: Rate, start_s: float, data: st.DataObject) -> None:
    """The refused request is accepted after `retry_after_s`, and not before."""
    throttle = MemoryThrottle(rate)
    cost = data.draw(st.integers(min_value=1, max_value=rate.burst))
    throttle.allow("a", start_s, rate.burst)
    refused = throttle.allow("a", start_s, cost)
    assert not refused.allowed
    early_s = min(1e-5, refused.retry_after_s / 2)
    again = throttle.allow("a", start_s + refused.retry_after_s - early_s, cost)
    assert not again.allowed
    assert throttle.allow("a", start_s + refused.retry_after_s, cost).allowed


def test_refusals_cost_nothing() -> None:
    """Hammering a closed door does not keep it closed."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=1))
    throttle.allow("a", 0.0)
    assert not any(throttle.allow("a", tenth / 10).allowed for tenth in range(10))
    assert throttle.allow("a", 1.0).allowed


def test_a_clock_going_back_mints_no_tokens() -> None:
    """Swinging time to and fro admits no more than its furthest point would."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=2))
    admitted = sum(throttle.allow("a", now).allowed for now in [10, 0, 10, 0, 11, 1, 11, 0])
    assert admitted == 3


def test_a_clock_going_back_takes_no_tokens_either() -> None:
    """A bucket holds what it held, and never less than nothing."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=2))
    assert [throttle.allow("a", now).remaining for now in [10, 5, 0]] == [1, 0, 0]
    assert throttle.allow("b", 0).remaining == 1


def test_a_clock_going_back_tells_the_true_wait() -> None:
    """The wait is counted from the caller's own time, even where that went back."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=1))
    throttle.allow("a", 10.0)
    refused = throttle.allow("a", 5.0)
    assert refused.retry_after_s == pytest.approx(6.0)
    assert throttle.allow("a", 11.0).allowed


@given(
    st.integers(min_value=1, max_value=5),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 10)), max_size=60),
)
def test_holds_at_most_keys_max(keys_max: int, requests: list[tuple[str, float]]) -> None:
    """The number of keys is bounded, whoever asks."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=2), keys_max=keys_max)
    for key, now in requests:
        throttle.allow(key, now)
        assert len(throttle) <= keys_max


def test_forgets_the_least_recently_used() -> None:
    """A refused key is in use: pushing at the limit is no way to be forgotten."""
    throttle = MemoryThrottle(Rate(per_s=1, burst=1), keys_max=2)
    throttle.allow("old", 0.0)
    throttle.allow("other", 0.0)
    assert not throttle.allow("old", 0.0).allowed
    throttle.allow("new", 0.0)
    assert not throttle.allow("old", 0.0).allowed
    assert throttle.allow("other", 0.0).allowed


@pytest.mark.parametrize("cost", [-1, 0, 3])
def test_a_cost_that_can_never_pass_is_an_error(cost: int) -> None:
    """A cost of nothing or above the burst is the caller's mistake, not a refusal."""
    with pytest.raises(ValueError, match="cost"):
        MemoryThrottle(Rate(per_s=1, burst=2)).allow("a", 0.0, cost)


def test_is_never_unlimited() -> None:
    """A table without room for a key is refused."""
    with pytest.raises(ValueError, match="keys_max"):
        MemoryThrottle(Rate(per_s=1, burst=1), keys_max=0)


def test_headers_of_an_accepted_request() -> None:
    """A client that may go on reads its limit and what remains."""
    decision = MemoryThrottle(Rate.parse("600/min burst 120")).allow("a", 0.0)
    headers = QuotaHeaders(decision)
    assert headers == {"X-RateLimit-Limit": "120", "X-RateLimit-Remaining": "119"}
    lines = [f"{name}: {text}\r\n" for name, text in headers.items()]
    assert headers.lines() == "".join(lines).encode()


def test_headers_of_a_refused_request() -> None:
    """A refused client reads when to come back, in every spelling."""
    rate = Rate.parse("6000/hour burst 10")
    decision = Decision(allowed=False, limit=10, remaining=0, retry_after_s=1.2, full_after_s=6.0)
    assert throttled_headers("api", rate, decision, 1_800_000_000.5) == {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "0",
        "Retry-After": "2",
        "X-RateLimit-Reset": "1800000002",
        "RateLimit-Policy": '"api";q=10;w=6',
        "RateLimit": '"api";r=0;t=2',
    }


@given(RATES)
def test_a_refused_client_always_waits(rate: Rate) -> None:
    """Retry-After is a whole second at least, and long enough."""
    throttle = MemoryThrottle(rate)
    throttle.allow("a", 0.0, rate.burst)
    refused = throttle.allow("a", 0.0)
    retry_s = int(throttled_headers("api", rate, refused, 0.0)["Retry-After"])
    assert retry_s >= 1
    assert throttle.allow("a", float(retry_s)).allowed
