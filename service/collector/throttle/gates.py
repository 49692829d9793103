"""The throttle of requests: gates for addresses and for tenants.

A request passes the gate of its address before its body is decoded, and that of its tenant once the
tenant is known. At a gate it takes from two buckets, one of requests and one of bytes, or from
neither. The bytes are those of the body: first the received ones, and after decompression those
that it added.

Invariants:
- no address and no tenant gets more than its limits, over all endpoints and collectors;
- by default the limits of an address are a fifth of those of a tenant, so one client can use up at
  most a fifth of its tenant's limits;
- a group that is off (`api`, `tenant-aware`) has no limit at all, not even of bytes;
- a 429 names the bucket, but never reveals whether a tenant exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Protocol

from service.collector.clock import Clock
from service.collector.throttle import token_bucket
from service.collector.throttle.shared_memory import OverLimit, SharedThrottle
from service.collector.throttle.token_bucket import (
    BYTES,
    REQUESTS,
    Decision,
    QuotaHeaders,
    Rate,
)
from service.collector.waiting import Waiting

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Throttled(Exception):
    """A request exceeds a limit. Text and headers say which limit, and when to retry."""

    def __init__(self, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The rates of all groups; None for no limit."""

    api: Rate | None = None
    """Track and conversion requests of an address."""
    address: Rate | None = None
    """Interactions of an address."""
    address_bytes: Rate | None = None
    tenant_aware: Rate | None = None
    """Interactions of a tenant."""
    tenant_bytes: Rate | None = None

    @property
    def of_addresses(self) -> Sequence[Rate | None]:
        """The rates of the table of addresses."""
        return self.api, self.address, self.address_bytes

    @property
    def of_tenants(self) -> Sequence[Rate | None]:
        """The rates of the table of tenants."""
        return self.tenant_aware, self.tenant_bytes


class BucketTable(Protocol):
    """A table of buckets: one per key and rate."""

    def take(self, key: str, now: float, costs: Sequence[int]) -> Decision | None:
        """See SharedThrottle.take."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of addresses and tenants, in memory that processes share."""

    limits: RateLimits
    addresses: BucketTable
    tenants: BucketTable

    @classmethod
    def shared(cls, limits: RateLimits, *, processes: int) -> Buckets:
        """Return full buckets. Raises OSError if there is no memory for them."""
        return cls(
            limits,
            SharedThrottle(*limits.of_addresses, processes=processes),
            SharedThrottle(*limits.of_tenants, processes=processes),
        )


class Group(NamedTuple):
    """A rate of a table: its name in headers, its unit, and `what` it limits, for a 429."""

    name: str
    unit: str
    what: str


_ADDRESSES = (
    Group("api", REQUESTS, "requests from this address"),
    Group("address", REQUESTS, "requests from this address"),
    Group("address-bytes", BYTES, "bytes from this address"),
)
_TENANTS = (
    Group("tenant-aware", REQUESTS, "requests for this tenant"),
    Group("tenant-bytes", BYTES, "bytes for this tenant"),
)


class Entered(NamedTuple):
    """How many requests have entered, the last decision, and the error of the next one, if any."""

    requests: int
    decision: Decision | None
    over: Throttled | None


class Gate(Protocol):
    """A limit for requests. A decision that is made elsewhere is Waiting, and may raise as well."""

    def enter(
        self, key: str, size_bytes: int, cost: int = 1
    ) -> Decision | Waiting[Decision | None] | None:
        """Take `cost` requests and `size_bytes` bytes; return None if there is no limit.

        Raises Throttled; ValueError for more requests or bytes than a bucket can ever hold.
        """

    def enter_many(self, key: str, count: int) -> Entered | Waiting[Entered]:
        """Take up to `count` requests, as many calls of `enter` would, and return the result."""

    def add_bytes(self, key: str, size_bytes: int) -> Waiting[None] | None:
        """Take further bytes for a request that has entered. Raises as `enter` does."""


class SharedGate:
    """A Gate of buckets in shared memory, which never waits.

    It takes from the bucket of `group` and from that of bytes, the last.

    `groups` names the rates of the table in their order. If `is_off`, there is no limit. `requests`
    are the costs of a request in the buckets before that of bytes.
    """

    def __init__(
        self,
        table: BucketTable,
        groups: tuple[Group, ...],
        clock: Clock,
        *,
        group: str,
        is_off: bool,
    ) -> None:
        self._table = table
        self._groups = groups
        self._clock = clock
        self._is_off = is_off
        self.requests = tuple(int(counted.name == group) for counted in groups[:-1])
        self._no_requests = (0,) * len(self.requests)

    def enter(self, key: str, size_bytes: int, cost: int = 1) -> Decision | None:
        """See Gate.enter."""
        requests = self.requests if cost == 1 else tuple(cost * share for share in self.requests)
        return self._take(key, (*requests, size_bytes))

    def enter_many(self, key: str, count: int) -> Entered:
        """See Gate.enter_many."""
        entered = 0
        decision: Decision | None = None
        while entered < count:
            try:
                decision = self.enter(key, 0)
            except Throttled as error:
                return Entered(entered, decision, error)
            if decision is None:  # no limit
                return Entered(count, None, None)
            entered += 1
            more = min(count - entered, decision.remaining)
            with suppress(Throttled):  # another process was faster: go on one by one
                if more:
                    decision = self.enter(key, 0, more)
                    entered += more
        return Entered(entered, decision, None)

    def add_bytes(self, key: str, size_bytes: int) -> None:
        """See Gate.add_bytes."""
        self._take(key, (*self._no_requests, size_bytes))

    def _take(self, key: str, costs: tuple[int, ...]) -> Decision | None:
        if self._is_off:
            return None
        try:
            return self._table.take(key, self._clock.monotonic_s(), costs)
        except OverLimit as over:
            raise self.throttled(over) from over

    def throttled(self, over: OverLimit) -> Throttled:
        """Return the error for a bucket that holds too few tokens."""
        group = self._groups[over.number]
        now_unix = self._clock.now_us() / 1e6
        headers = token_bucket.throttled_headers(
            group.name, over.rate, over.decision, now_unix, unit=group.unit
        )
        message = f"Too many {group.what}; try again in {headers['Retry-After']} s"
        return Throttled(message, headers)


class Gates(NamedTuple):
    """The gates of the endpoints: track and conversion (`api`), and interactions."""

    api: Gate
    api_tenant: Gate
    interactions: Gate
    interactions_tenant: Gate

    @classmethod
    def of(cls, buckets: Buckets, clock: Clock, make: Callable[..., Gate] = SharedGate) -> Gates:
        """Return the gates of these buckets. `make` takes the arguments of SharedGate."""
        address = partial(make, buckets.addresses, _ADDRESSES, clock)
        tenant = partial(make, buckets.tenants, _TENANTS, clock)
        is_api_off = buckets.limits.api is None
        is_tenant_aware_off = buckets.limits.tenant_aware is None
        return cls(
            api=address(group="api", is_off=is_api_off),
            api_tenant=tenant(group="", is_off=is_api_off),
            interactions=address(group="address", is_off=is_tenant_aware_off),
            interactions_tenant=tenant(group="tenant-aware", is_off=is_tenant_aware_off),
        )


def quota_headers(decision: Decision | None) -> Mapping[str, str]:
    """Return the quota headers of a response; no headers if there is no limit."""
    return NO_HEADERS if decision is None else QuotaHeaders(decision)
