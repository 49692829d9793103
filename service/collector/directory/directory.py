"""Which tenants are public and which products they have, answered from memory.

A snapshot of the database is replaced in one assignment every `refresh_s`. What it does not hold
is asked of the database once: found, it is kept until the next refresh; not found, that answer
stands for `negative_ttl_s`. So a tenant imported or made public during a run is found at once, and
one made inactive is refused after the next refresh. One asker has a share of the look-ups in
flight: made-up tenants of one address do not fill the queue for others.

`peek_*` never wait and cost a dict look-up; they return MISS where the database must be asked,
which the coroutine of the same question does.

Invariants: every answer lies between the last refresh and now; concurrent misses of one key share
one query; look-ups in flight and negative answers are bounded; while the database is down the last
snapshot serves, and only misses raise `DirectoryUnavailable`. All methods belong to the event
loop's thread.
"""

import asyncio
import logging
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Final, Literal, TypeVar

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable, Tenant, is_id, is_slug
from etl.directory.tenant_reference import Reference, reference

_log = logging.getLogger(__name__)

_LOOKUP_THREADS = 2

_T = TypeVar("_T")
_ProductKey = tuple[int, int]
_Key = Reference | _ProductKey


class Miss(Enum):
    """The type of MISS."""

    MISS = "miss"


MISS: Final = Miss.MISS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Public tenants, and the products of all: their ids, sorted, 8 bytes each."""

    by_id: Mapping[int, Tenant]
    by_uuid: Mapping[str, Tenant]
    by_slug: Mapping[str, Tenant]
    products: Mapping[int, "array[int]"]

    def tenant(self, key: Reference) -> Tenant | None:
        """The public tenant of a key."""
        if key[0] == "id":
            return self.by_id.get(key[1])
        return (self.by_uuid if key[0] == "uuid" else self.by_slug).get(key[1])

    def has_product(self, tenant_id: int, product_id: int) -> bool:
        """Whether the tenant has the product."""
        ids = self.products.get(tenant_id)
        if ids is None:
            return False
        at = bisect_left(ids, product_id)
        return at < len(ids) and ids[at] == product_id


@dataclass(frozen=True, slots=True)
class _View:
    """A snapshot and what was found beside it, replaced together: older finds do not outlive it."""

    snapshot: Snapshot
    loaded_at_s: float
    found_tenants: dict[Reference, Tenant] = field(default_factory=dict)
    found_products: dict[_ProductKey, Literal[True]] = field(default_factory=dict)


class _Misses:
    """Asks the database: one query a key at a time, None remembered, everything bounded."""

    def __init__(  # noqa: PLR0913
        self,
        *,
        negative_ttl_s: float,
        negative_max: int,
        pending_max: int,
        pending_of_one_max: int,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._negative_ttl_s = negative_ttl_s
        self._negative_max = negative_max
        self._pending_max = pending_max
        self._pending_of_one_max = pending_of_one_max
        self._timeout_s = timeout_s
        self._clock = clock
        self._denied_until_s: dict[_Key, float] = {}
        self._pending: dict[_Key, asyncio.Task[Any]] = {}
        self._pending_of: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "directory-lookup")

    def is_denied(self, key: _Key) -> bool:
        """Whether the database said no less than the time to live ago."""
        now = self._clock()
        return now < self._denied_until_s.get(key, now)

    async def ask(
        self, key: _Key, query: Callable[[], _T | None], found: dict[Any, _T], asker: str
    ) -> _T | None:
        """The query's answer, from a thread, and into `found` if there is one.

        Raises DirectoryUnavailable, also when it takes too long or too many wait.
        """
        task: asyncio.Task[_T | None] | None = self._pending.get(key)
        if task is None:
            task = self._begin(key, query, found, asker)
        # Not wait_for: from Python 3.12 on it needs a task, and the fast server's caller has none.
        done, _ = await asyncio.wait([task], timeout=self._timeout_s)
        if not done:
            raise DirectoryUnavailable("the directory's database takes too long")
        return task.result()

    def close(self) -> None:
        """Takes no more questions; those in flight are answered."""
        self._threads.shutdown(wait=False)

    def _begin(
        self, key: _Key, query: Callable[[], _T | None], found: dict[Any, _T], asker: str
    ) -> asyncio.Task[_T | None]:
        if len(self._pending) >= self._pending_max:
            raise DirectoryUnavailable("too many directory look-ups in flight")
        if self._pending_of[asker] >= self._pending_of_one_max:
            raise DirectoryUnavailable("too many directory look-ups in flight from one address")
        answering = self._run(key, query, found)
        task = asyncio.create_task(answering)
        self._pending[key] = task
        self._pending_of[asker] += 1
        task.add_done_callback(partial(self._settle, key, asker))
        return task

    async def _run(
        self, key: _Key, query: Callable[[], _T | None], found: dict[Any, _T]
    ) -> _T | None:
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, query)
        if answer is None:
            self._deny(key)
        else:
            found[key] = answer
        return answer

    def _settle(self, key: _Key, asker: str, task: asyncio.Task[Any]) -> None:
        del self._pending[key]
        self._pending_of[asker] -= 1
        if not self._pending_of[asker]:
            del self._pending_of[asker]
        if not task.cancelled():
            task.exception()  # retrieved: whoever asked may have gone

    def _deny(self, key: _Key) -> None:
        self._denied_until_s.pop(key, None)
        self._denied_until_s[key] = self._clock() + self._negative_ttl_s
        if len(self._denied_until_s) > self._negative_max:
            del self._denied_until_s[next(iter(self._denied_until_s))]


class Directory:
    """The collector's view of tenants and products. `start` it before asking."""

    def __init__(  # noqa: PLR0913
        self,
        database: DirectoryDatabase,
        *,
        refresh_s: float = 20.0,
        negative_ttl_s: float = 2.0,
        negative_max: int = 10_000,
        pending_max: int = 1_000,
        pending_of_one_max: int = 32,
        lookup_timeout_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._refresh_s = refresh_s
        self._clock = clock
        self._misses = _Misses(
            negative_ttl_s=negative_ttl_s,
            negative_max=negative_max,
            pending_max=pending_max,
            pending_of_one_max=pending_of_one_max,
            timeout_s=lookup_timeout_s,
            clock=clock,
        )
        self._loader = ThreadPoolExecutor(1, "directory-refresh")
        self._view = _View(Snapshot({}, {}, {}, {}), loaded_at_s=float("-inf"))
        self._refresher: asyncio.Task[None] | None = None
        self._is_stale = False

    async def start(self) -> None:
        """Loads the first snapshot, then refreshes it. Raises DirectoryUnavailable."""
        self._view = await self._load()
        self._refresher = asyncio.create_task(self._refresh_for_ever())

    async def stop(self) -> None:
        """Ends the refreshing; waits for no query. The database stays its owner's to dispose."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.wait([self._refresher])
        self._loader.shutdown(wait=False, cancel_futures=True)
        self._misses.close()

    @property
    def ready(self) -> bool:
        """Whether a snapshot was loaded and is being refreshed."""
        return self._refresher is not None and not self._refresher.done()

    def age_s(self, now: float) -> float:
        """Seconds since the snapshot was read, by the clock given; infinite before the first."""
        return now - self._view.loaded_at_s

    def peek_tenant(self, key: int | str) -> Tenant | Miss | None:
        """The public tenant of an id, an id as text or a UUID; None if there is none."""
        if type(key) is int and (tenant := self._view.snapshot.by_id.get(key)):
            return tenant
        tenant_key = reference(key)
        return None if tenant_key is None else self._peek(tenant_key)

    def peek_slug(self, slug: str) -> Tenant | Miss | None:
        """The public tenant of a slug; None if there is none."""
        return self._peek(("slug", slug))

    def peek_product(self, tenant_id: int, product_id: int) -> bool | Miss:
        """Whether the tenant has the product."""
        key = (tenant_id, product_id)
        view = self._view
        if view.snapshot.has_product(tenant_id, product_id) or key in view.found_products:
            return True
        if not is_id(product_id) or self._misses.is_denied(key):
            return False
        return MISS

    async def tenant(self, key: int | str, asker: str = "") -> Tenant | None:
        """As peek_tenant, the database asked on a miss for `asker`. Raises DirectoryUnavailable."""
        tenant_key = reference(key)
        return None if tenant_key is None else await self._resolve(tenant_key, asker)

    async def tenant_by_slug(self, slug: str, asker: str = "") -> Tenant | None:
        """As peek_slug, the database asked on a miss for `asker`. Raises DirectoryUnavailable."""
        return await self._resolve(("slug", slug), asker)

    async def has_product(self, tenant_id: int, product_id: int, asker: str = "") -> bool:
        """As peek_product, the database asked on a miss for `asker`.

        Raises DirectoryUnavailable.
        """
        known = self.peek_product(tenant_id, product_id)
        if known is not MISS:
            return known
        key = (tenant_id, product_id)
        query = partial(_find_product, self._database, key)
        return await self._misses.ask(key, query, self._view.found_products, asker) is not None

    async def refresh(self) -> None:
        """Loads a new snapshot; keeps the last one, and warns once an outage, if that fails."""
        try:
            self._view = await self._load()
        except DirectoryUnavailable as error:
            if not self._is_stale:
                fields = {"reason": str(error), "age_s": round(self.age_s(self._clock()), 1)}
                _log.warning("the last directory snapshot goes on", extra={"fields": fields})
            self._is_stale = True
        else:
            self._is_stale = False

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            await self.refresh()

    async def _load(self) -> _View:
        began_at_s = self._clock()
        loop = asyncio.get_running_loop()
        snapshot = await loop.run_in_executor(self._loader, load_snapshot, self._database)
        return _View(snapshot, began_at_s)

    def _peek(self, key: Reference) -> Tenant | Miss | None:
        view = self._view
        tenant = view.snapshot.tenant(key) or view.found_tenants.get(key)
        if tenant is not None:
            return tenant
        if key[0] == "slug" and not is_slug(key[1]):
            return None
        return None if self._misses.is_denied(key) else MISS

    async def _resolve(self, key: Reference, asker: str) -> Tenant | None:
        known = self._peek(key)
        if known is not MISS:
            return known
        query = partial(_find_public, self._database, key)
        return await self._misses.ask(key, query, self._view.found_tenants, asker)


def load_snapshot(database: DirectoryDatabase) -> Snapshot:
    """Reads the whole directory. Blocks; raises DirectoryUnavailable."""
    public = [tenant for tenant in database.tenants() if tenant.is_public]
    return Snapshot(
        by_id={tenant.id: tenant for tenant in public},
        by_uuid={tenant.uuid: tenant for tenant in public if tenant.uuid},
        by_slug={tenant.slug: tenant for tenant in public if tenant.slug},
        products=_sorted_by_tenant(database.product_keys()),
    )


def _sorted_by_tenant(keys: Iterable[_ProductKey]) -> dict[int, "array[int]"]:
    products: dict[int, array[int]] = {}
    for tenant_id, product_id in keys:
        products.setdefault(tenant_id, array("q")).append(product_id)
    return {tenant_id: array("q", sorted(ids)) for tenant_id, ids in products.items()}


def _find_public(database: DirectoryDatabase, key: Reference) -> Tenant | None:
    if key[0] == "id":
        tenant = database.find_tenant(id=key[1])
    elif key[0] == "uuid":
        tenant = database.find_tenant(uuid=key[1])
    else:
        tenant = database.find_tenant(slug=key[1])
    return tenant if tenant is not None and tenant.is_public else None


def _find_product(database: DirectoryDatabase, key: _ProductKey) -> Literal[True] | None:
    return True if database.find_product(*key) else None
