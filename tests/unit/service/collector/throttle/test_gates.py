"""The gates of addresses and tenants: what passes, whoever asks, whichever worker."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import fields
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector.clock import Clock
from service.collector.throttle.gates import (
    Buckets,
    Gate,
    Gates,
    RateLimits,
    Throttled,
    quota_headers,
)
from service.collector.throttle.token_bucket import Decision, Rate

SIZE_BYTES_MAX = 100
REQUEST_RATES = st.builds(
    Rate, per_s=st.floats(min_value=0.1, max_value=20), burst=st.integers(1, 20)
)
BYTE_RATES = st.builds(
    Rate, per_s=st.floats(min_value=1, max_value=2000), burst=st.integers(SIZE_BYTES_MAX, 1000)
)
LIMITS = st.builds(
    RateLimits,
    api=REQUEST_RATES,
    address=REQUEST_RATES,
    address_bytes=BYTE_RATES,
    tenant_aware=REQUEST_RATES,
    tenant_bytes=BYTE_RATES,
)


class Sent(NamedTuple):
    """One event: by which worker, on which endpoint, from where, for whom, after how long."""

    worker: int
    tracks: bool
    address: str
    tenant: str
    size_bytes: int
    gap_s: float


EVENTS = st.lists(
    st.builds(
        Sent,
        st.integers(0, 2),
        st.booleans(),
        st.sampled_from(["a1", "a2", "a3"]),
        st.sampled_from(["t1", "t2"]),
        st.integers(1, SIZE_BYTES_MAX),
        st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 100)),
    ),
    max_size=100,
)


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.clock = Clock(wall_ns=lambda: 0, monotonic_s=lambda: self.now_s)


class Meter:
    """The requests that passed a bucket; `check` that burst and rate allow them."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._taken = 0
        self._lowest = math.inf

    def look(self, now_s: float) -> None:
        self._lowest = min(self._lowest, self._taken - self._rate.per_s * now_s)

    def check(self, cost: int, now_s: float) -> None:
        self._taken += cost
        most = self._lowest + self._rate.burst + 2e-6 * self._rate.per_s + 1e-3
        assert self._taken - self._rate.per_s * now_s <= most


def passes(gates: Gates, sent: Sent) -> tuple[bool, bool]:
    """Whether an event passes the gate of its address, and then that of its tenant."""
    address = gates.api if sent.tracks else gates.interactions
    try:
        address.enter(sent.address, sent.size_bytes)
    except Throttled:
        return False, False
    try:
        if sent.tracks:
            gates.api_tenant.add_bytes(sent.tenant, sent.size_bytes)
        else:
            gates.interactions_tenant.enter(sent.tenant, sent.size_bytes)
    except Throttled:
        return True, False
    return True, True


@given(LIMITS, EVENTS)
def test_nobody_gets_more_than_its_limits(limits: RateLimits, events: list[Sent]) -> None:
    """No address and no tenant, by requests or bytes, whichever worker and endpoint it asks."""
    time = Time()
    buckets = Buckets.shared(limits, processes=3)
    workers = [Gates.of(buckets, time.clock) for _ in range(3)]
    meters: dict[tuple[str, str], Meter] = {}
    for sent in events:
        time.now_s += sent.gap_s
        address, tenant = passes(workers[sent.worker], sent)
        group = "api" if sent.tracks else "address"
        asked = [
            (sent.address, group, address),
            (sent.address, "address_bytes", address),
            (sent.tenant, "tenant_bytes", tenant),
        ]
        if not sent.tracks:
            asked.append((sent.tenant, "tenant_aware", tenant))
        for key, name, passed in asked:
            rate = getattr(limits, name)
            meter = meters.setdefault((key, name), Meter(rate))
            meter.look(time.now_s)
            if passed:
                meter.check(sent.size_bytes if name.endswith("bytes") else 1, time.now_s)


@given(LIMITS, EVENTS)
def test_nobody_is_hurt_by_others(limits: RateLimits, events: list[Sent]) -> None:
    """An address is refused exactly what it would be refused alone; so is a tenant, by the requests
    that pass their address."""
    time = Time()
    crowd = Gates.of(Buckets.shared(limits, processes=1), time.clock)
    alone = defaultdict(lambda: Gates.of(Buckets.shared(limits, processes=1), time.clock))
    for sent in events:
        time.now_s += sent.gap_s
        address, tenant = passes(crowd, sent)
        # With a tenant of its own for each address, and an address of its own for each event.
        own = alone[sent.address]
        gate = own.api if sent.tracks else own.interactions
        assert admits(gate, sent.address, sent.size_bytes) == address
        if address:
            one = alone[sent.tenant]
            if sent.tracks:
                assert adds(one.api_tenant, sent.tenant, sent.size_bytes) == tenant
            else:
                assert admits(one.interactions_tenant, sent.tenant, sent.size_bytes) == tenant


def admits(gate: Gate, key: str, size_bytes: int, cost: int = 1) -> bool:
    try:
        gate.enter(key, size_bytes, cost)
    except Throttled:
        return False
    return True


def adds(gate: Gate, key: str, size_bytes: int) -> bool:
    try:
        gate.add_bytes(key, size_bytes)
    except Throttled:
        return False
    return True


def test_events_that_come_together_cost_one_request_each() -> None:
    """All of them pass, or none."""
    limits = RateLimits(api=Rate(per_s=1, burst=10), address_bytes=Rate(per_s=1, burst=1000))
    gate = Gates.of(Buckets.shared(limits, processes=1), Time().clock).api
    assert quota_headers(gate.enter("a", 500, 7)) == {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "3",
    }
    assert not admits(gate, "a", 100, 4)
    assert admits(gate, "a", 500, 3)
    with pytest.raises(ValueError, match="cost"):
        gate.enter("b", 100, 11)


@pytest.mark.parametrize("name", [field.name for field in fields(RateLimits)])
def test_each_limit_binds_by_itself(name: str) -> None:
    """Where the groups are on and nothing else is scarce."""
    wide = Rate(per_s=1000, burst=10_000)
    scarce = Rate(per_s=0.1, burst=100 if name.endswith("bytes") else 1)
    rates = {field.name: wide for field in fields(RateLimits)} | {name: scarce}
    gates = Gates.of(Buckets.shared(RateLimits(**rates), processes=1), Time().clock)
    tracks = name not in {"tenant_aware", "address"}
    first, second = (passes(gates, Sent(0, tracks, "a", "t", 60, 0.0)) for _ in range(2))
    assert first == (True, True)
    assert second == ((True, False) if name.startswith("tenant") else (False, False))


def test_without_a_limit_there_is_nothing_to_tell() -> None:
    """Everything passes."""
    gates = Gates.of(Buckets.shared(RateLimits(), processes=1), Time().clock)
    for gate in gates:
        assert quota_headers(gate.enter("a", 1 << 40)) == {}


@given(LIMITS, st.lists(st.tuples(st.integers(0, 30), st.floats(0, 5)), max_size=6))
def test_many_enter_as_one_by_one(limits: RateLimits, arrivals: list[tuple[int, float]]) -> None:
    """As many of them, with as much left, and refused by the same limit."""
    now_s = 1000.0
    clock = Clock(wall_ns=lambda: 10**18, monotonic_s=lambda: now_s)
    together, alone = (
        Gates.of(Buckets.shared(limits, processes=1), clock).interactions for _ in range(2)
    )
    for count, gap_s in arrivals:
        now_s += gap_s
        entered = together.enter_many("a", count)
        one_by_one = [_enter(alone) for _ in range(count)]
        passed = [decision for decision in one_by_one if isinstance(decision, Decision)]
        assert entered.requests == len(passed)
        left = [decision.remaining for decision in (entered.decision, *passed[-1:]) if decision]
        assert len(left) == 2 * bool(passed)
        assert len(set(left)) <= 1
        assert (entered.over is None) == (len(passed) == count)
        if entered.over:
            refused = one_by_one[len(passed)]
            assert isinstance(refused, Throttled)
            assert entered.over.headers["RateLimit-Policy"] == refused.headers["RateLimit-Policy"]


def test_many_enter_at_once_where_there_is_no_limit() -> None:
    """And there is nothing to tell."""
    clock = Clock(wall_ns=lambda: 10**18, monotonic_s=lambda: 0.0)
    gates = Gates.of(Buckets.shared(RateLimits(), processes=1), clock)
    assert gates.api.enter_many("a", 500) == (500, None, None)


def _enter(gate: Gate) -> object:
    try:
        return gate.enter("a", 0)
    except Throttled as error:
        return error
