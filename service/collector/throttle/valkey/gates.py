"""Gates whose limits hold over all machines: a server decides, or else the machine's share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import mul
from typing import TypeVar

from service.collector.clock import Clock
from service.collector.throttle.gates import (
    Buckets,
    BucketTable,
    Entered,
    Gate,
    Gates,
    Group,
    RateLimits,
    SharedGate,
)
from service.collector.throttle.share import Share
from service.collector.throttle.shared_memory import OverLimit
from service.collector.throttle.token_bucket import Decision, Rate
from service.collector.throttle.valkey.decisions import Answer, Ask, Names
from service.collector.throttle.valkey.server import ThrottleServer
from service.collector.throttle.valkey.tally import Word
from service.collector.waiting import Waiting

T = TypeVar("T")


class Table:
    """A table of buckets in the server: its names, its rates, and the place of the first rate."""

    def __init__(self, names: Names, rates: Sequence[Rate | None], first: int) -> None:
        self.first = first
        self.rates = rates
        self._name = names.name
        self._has_limits = tuple(int(rate is not None) for rate in rates)

    def ask(self, key: str, costs: Sequence[int], times: int) -> Ask | None:
        """Return the question; None if no bucket with a limit has a cost."""
        if 0 in self._has_limits:
            costs = tuple(map(mul, costs, self._has_limits))
        return Ask(self._name(key), self.first, costs, times) if any(costs) else None

    def decision(self, ask: Ask, answer: Answer) -> Decision | None:
        """Return the decision on the last of the times that were taken; None if there is none."""
        if not answer.taken:
            return None
        number = next(n for n, cost in enumerate(ask.costs) if cost)
        rate = self._rate(number)
        left, full_s = rate.tokens(answer.full_after_s), answer.full_after_s
        return Decision(
            allowed=True, limit=rate.burst, remaining=left, retry_after_s=0.0, full_after_s=full_s
        )

    def over(self, ask: Ask, answer: Answer) -> OverLimit | None:
        """Return the error of the bucket that holds too few tokens, if any.

        Raises ValueError for a cost above the burst, which could never be allowed.
        """
        if answer.over is None:
            return None
        rate = self._rate(answer.over)
        tokens = rate.tokens(answer.full_after_s)
        denial = rate.denial(ask.costs[answer.over], tokens, answer.full_after_s)
        return OverLimit(answer.over, rate, denial)

    def _rate(self, number: int) -> Rate:
        rate = self.rates[number]
        if rate is None:
            raise ValueError("a bucket without a limit decides nothing")
        return rate


class ServerGate:
    """A Gate that asks a server. If that does not decide in time, `local` does."""

    def __init__(self, server: ThrottleServer, table: Table, local: SharedGate) -> None:
        self._server = server
        self._table = table
        self._local = local
        self._no_requests = (0,) * len(local.requests)

    def enter(
        self, key: str, size_bytes: int, cost: int = 1
    ) -> Decision | Waiting[Decision | None] | None:
        """See Gate.enter."""
        requests = self._local.requests
        if cost != 1:
            requests = tuple(cost * share for share in requests)
        return self._take(
            key, (*requests, size_bytes), partial(self._local.enter, key, size_bytes, cost)
        )

    def add_bytes(self, key: str, size_bytes: int) -> Waiting[None] | None:
        """See Gate.add_bytes."""
        costs = *self._no_requests, size_bytes
        local = partial(self._local.add_bytes, key, size_bytes)
        added = self._take(key, costs, local)
        return added.then(lambda _: None) if isinstance(added, Waiting) else None

    def enter_many(self, key: str, count: int) -> Entered | Waiting[Entered]:
        """See Gate.enter_many."""
        ask = self._table.ask(key, (*self._local.requests, 0), count)
        if ask is None:
            return Entered(count, None, None)
        local = partial(self._local.enter_many, key, count)
        return self._ask(ask, self._entered, local)

    def _take(
        self, key: str, costs: Sequence[int], local: Callable[[], Decision | None]
    ) -> Decision | Waiting[Decision | None] | None:
        ask = self._table.ask(key, costs, 1)
        return None if ask is None else self._ask(ask, self._decided, local)

    def _ask(
        self, ask: Ask, decided: Callable[[Ask, Answer], T], local: Callable[[], T]
    ) -> T | Waiting[T]:
        asked = self._server.ask(ask)
        if asked is None:
            return self._decide_here(local)

        def decide(answer: Answer | None) -> T:
            return self._decide_here(local) if answer is None else decided(ask, answer)

        return Waiting(asked, decide)

    def _decide_here(self, local: Callable[[], T]) -> T:
        self._server.tally.count(Word.BY_MACHINE)
        return local()

    def _decided(self, ask: Ask, answer: Answer) -> Decision | None:
        if over := self._table.over(ask, answer):
            raise self._local.throttled(over) from over
        return self._table.decision(ask, answer)

    def _entered(self, ask: Ask, answer: Answer) -> Entered:
        over = self._table.over(ask, answer)
        throttled = self._local.throttled(over) if over else None
        return Entered(answer.taken, self._table.decision(ask, answer), throttled)


def rates(limits: RateLimits) -> Sequence[Rate | None]:
    """Return the rates of all buckets, in the order of the tables."""
    return (*limits.of_addresses, *limits.of_tenants)


def server_gates(buckets: Buckets, clock: Clock, server: ThrottleServer, secret: str) -> Gates:
    """Return gates that ask a server. Names of keys are hashed under `secret`."""
    limits = buckets.limits
    shared = Buckets(
        limits,
        Share(buckets.addresses, limits.of_addresses, lambda: server.machines),
        Share(buckets.tenants, limits.of_tenants, lambda: server.machines),
    )
    addresses = Table(Names(b"a", secret), limits.of_addresses, 0)
    tenants = Table(Names(b"t", secret), limits.of_tenants, len(limits.of_addresses))

    tables: Mapping[BucketTable, Table] = {shared.addresses: addresses, shared.tenants: tenants}

    def make(
        table: BucketTable, groups: tuple[Group, ...], clock: Clock, *, group: str, is_off: bool
    ) -> Gate:
        local = SharedGate(table, groups, clock, group=group, is_off=is_off)
        return local if is_off else ServerGate(server, tables[table], local)

    return Gates.of(shared, clock, make)
