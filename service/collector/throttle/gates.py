"""Who may pass: the limits of addresses and tenants, and how a refusal is told.

A request passes its address's gate before anything of its body is read, and its tenant's once that
is known. At each gate it takes from two buckets at once, one of requests and one of bytes, or from
neither. Bytes are those of the body: as it came at first, and what decompression adds after that.

Invariants:
- no address and no tenant gets more than its limits, whatever the endpoint or the worker;
- an address's limits are below a tenant's, by default a fifth, so that a client that is past its
  own has taken that much from the others of its tenant at most;
- a group that is off (`api`, `tenant-aware`) is limited by nothing, of bytes neither;
- whose bucket refused is told, but not whether a tenant exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from service.collector.clock import Clock
from service.collector.throttle import token_bucket
from service.collector.throttle.shared_memory import Refused, SharedThrottle
from service.collector.throttle.token_bucket import BYTES, REQUESTS, Decision, Rate

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Throttled(Exception):
    """A bucket refused. Text and headers are for the client: which bucket, and until when."""

    def __init__(self, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The rates of all groups; None: no limit."""

    api: Rate | None = None
    """Tracked events and conversions of an address."""
    address: Rate | None = None
    """Interactions of an address."""
    address_bytes: Rate | None = None
    tenant_aware: Rate | None = None
    """Interactions of a tenant."""
    tenant_bytes: Rate | None = None


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of addresses and tenants, in memory that processes share."""

    limits: Limits
    addresses: SharedThrottle
    tenants: SharedThrottle

    @classmethod
    def shared(cls, limits: Limits, *, processes: int) -> Buckets:
        """Full buckets. Raises OSError where there is no memory for them."""
        addresses = limits.api, limits.address, limits.address_bytes
        tenants = limits.tenant_aware, limits.tenant_bytes
        return cls(
            limits,
            SharedThrottle(*addresses, processes=processes),
            SharedThrottle(*tenants, processes=processes),
        )


class _Group(NamedTuple):
    """A bucket of a table: its name in headers, its unit, and the words of a refusal."""

    name: str
    unit: str
    what: str


_ADDRESSES = (
    _Group("api", REQUESTS, "requests from this address"),
    _Group("address", REQUESTS, "requests from this address"),
    _Group("address-bytes", BYTES, "bytes from this address"),
)
_TENANTS = (
    _Group("tenant-aware", REQUESTS, "requests for this tenant"),
    _Group("tenant-bytes", BYTES, "bytes for this tenant"),
)


class Gate:
    """One way into a table of buckets, whose last one is of bytes. `is_off`: nothing is taken."""

    def __init__(
        self,
        table: SharedThrottle,
        groups: tuple[_Group, ...],
        clock: Clock,
        *,
        group: str,
        is_off: bool,
    ) -> None:
        self._table = table
        self._groups = groups
        self._clock = clock
        self._is_off = is_off
        self._requests = tuple(int(one.name == group) for one in groups[:-1])
        self._no_requests = (0,) * len(self._requests)

    def enter(self, key: str, size_bytes: int, cost: int = 1) -> Decision | None:
        """Take for `cost` events of so many bytes together; None where nothing is limited.

        Raises Throttled; ValueError for more events or bytes than a bucket can ever hold.
        """
        requests = self._requests if cost == 1 else tuple(cost * one for one in self._requests)
        return self._take(key, (*requests, size_bytes))

    def add_bytes(self, key: str, size_bytes: int) -> None:
        """Take bytes of an event that has entered. Raises as `enter`."""
        self._take(key, (*self._no_requests, size_bytes))

    def _take(self, key: str, costs: tuple[int, ...]) -> Decision | None:
        if self._is_off:
            return None
        try:
            return self._table.take(key, self._clock.monotonic_s(), costs)
        except Refused as refused:
            raise self._throttled(refused) from refused

    def _throttled(self, refused: Refused) -> Throttled:
        group = self._groups[refused.number]
        now_unix = self._clock.now_us() / 1e6
        headers = token_bucket.refusal(
            group.name, refused.rate, refused.decision, now_unix, unit=group.unit
        )
        message = f"Too many {group.what}; try again in {headers['Retry-After']} s"
        return Throttled(message, headers)


class Gates(NamedTuple):
    """The gates of the endpoints, each of the address and then of the tenant."""

    api: Gate
    api_tenant: Gate
    interactions: Gate
    interactions_tenant: Gate

    @classmethod
    def of(cls, buckets: Buckets, clock: Clock) -> Gates:
        """The gates to these buckets."""
        address = partial(Gate, buckets.addresses, _ADDRESSES, clock)
        tenant = partial(Gate, buckets.tenants, _TENANTS, clock)
        is_api_off = buckets.limits.api is None
        is_tenant_aware_off = buckets.limits.tenant_aware is None
        return cls(
            api=address(group="api", is_off=is_api_off),
            api_tenant=tenant(group="", is_off=is_api_off),
            interactions=address(group="address", is_off=is_tenant_aware_off),
            interactions_tenant=tenant(group="tenant-aware", is_off=is_tenant_aware_off),
        )


def standing(decision: Decision | None) -> Mapping[str, str]:
    """The response headers that tell a client where it stands."""
    return NO_HEADERS if decision is None else token_bucket.standing(decision)
