"""The public tenants and their products, from memory.

A snapshot of the database is replaced every `refresh_s`, in one assignment. A key that is not in
the snapshot is looked up in the database: a positive result is cached until the next refresh, a
negative one for a short time. So a tenant that was imported or made public is accepted within that
short time, and a tenant that was made inactive is rejected after the next refresh.

The `peek_*` methods never wait and cost a dict look-up. They return MISS if the database must be
queried; the coroutine for the same key then does that.

Invariants: every result was true at some moment between the last refresh and now; while the
database is down the last snapshot still serves, and only misses raise DirectoryUnavailable. Call
all methods in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Final, Literal

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable, Tenant, is_id, is_slug
from etl.directory.saved import SavedDirectory
from etl.directory.tenant_reference import Reference, reference
from service.collector.directory.loading import DatabaseLoader, SavedLoader
from service.collector.directory.lookups import LookupBounds, Lookups
from service.collector.directory.snapshot import DirectorySnapshot, ProductKey

log = logging.getLogger(__name__)

_DEFAULT_BOUNDS = LookupBounds()


class Miss(Enum):
    """The type of MISS."""

    MISS = "miss"


MISS: Final = Miss.MISS


@dataclass(frozen=True, slots=True)
class _View:
    """A snapshot, and the results of look-ups since it was loaded. Both are replaced together."""

    snapshot: DirectorySnapshot
    loaded_at_s: float
    tenants: dict[Reference, Tenant] = field(default_factory=dict)
    products: dict[ProductKey, Literal[True]] = field(default_factory=dict)


class Directory:
    """The collector's view of tenants and products. Call `start` first."""

    def __init__(
        self,
        database: DirectoryDatabase,
        saved: SavedDirectory | None = None,
        *,
        refresh_s: float = 20.0,
        bounds: LookupBounds = _DEFAULT_BOUNDS,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._snapshots = (
            DatabaseLoader(database, monotonic_s) if saved is None else SavedLoader(saved)
        )
        self._is_saved = saved is not None
        self._refresh_s = refresh_s
        self._monotonic_s = monotonic_s
        self._lookups = Lookups(bounds, monotonic_s)
        self._loader = ThreadPoolExecutor(1, "directory-refresh")
        self._view = _View(DirectorySnapshot.empty(), loaded_at_s=float("-inf"))
        self._refresher: asyncio.Task[None] | None = None
        self._is_stale = False

    async def start(self) -> None:
        """Load the first snapshot, then refresh it regularly. Raises DirectoryUnavailable."""
        await self._load()
        self._refresher = asyncio.create_task(self._refresh_regularly())

    async def stop(self) -> None:
        """Stop refreshing, without waiting for queries; close connections that are not in use."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.wait([self._refresher])
        self._loader.shutdown(wait=False, cancel_futures=True)
        self._lookups.close()
        self._database.dispose()

    def age_s(self) -> float:
        """Return the age of the snapshot in seconds; infinite before the first one."""
        return self._monotonic_s() - self._view.loaded_at_s

    def ages_s(self) -> dict[str, float]:
        """Return the age of a server's snapshot by its name; nothing for a file."""
        return {"directory_age_s": round(self.age_s(), 1)} if self._is_saved else {}

    def why_degraded(self) -> list[str]:
        """Return that the last refresh failed, as a text; the log says why."""
        return ["the directory could not be refreshed"] if self._is_stale else []

    def peek_tenant(self, key: int | str) -> Tenant | Miss | None:
        """Return the public tenant of an id, an id as text or a UUID; None if there is none."""
        if type(key) is int and (tenant := self._view.snapshot.by_id.get(key)):
            return tenant
        tenant_key = reference(key)
        return None if tenant_key is None else self._peek(tenant_key)

    def peek_slug(self, slug: str) -> Tenant | Miss | None:
        """Return the public tenant of a slug; None if there is none."""
        return self._peek(("slug", slug))

    def peek_product(self, tenant_id: int, product_id: int) -> bool | Miss:
        """Return whether the tenant has the product."""
        key = (tenant_id, product_id)
        view = self._view
        if view.snapshot.has_product(tenant_id, product_id) or key in view.products:
            return True
        if not is_id(product_id) or self._lookups.is_denied(key):
            return False
        return MISS

    async def tenant(self, key: int | str, asker: str = "") -> Tenant | None:
        """Return the tenant as `peek_tenant` does, but look up a miss in the database.

        `asker` is the address that the look-up counts for. Raises DirectoryUnavailable.
        """
        tenant_key = reference(key)
        return None if tenant_key is None else await self._tenant(tenant_key, asker)

    async def tenant_by_slug(self, slug: str, asker: str = "") -> Tenant | None:
        """Return the tenant of a slug; otherwise as `tenant`. Raises DirectoryUnavailable."""
        return await self._tenant(("slug", slug), asker)

    async def has_product(self, tenant_id: int, product_id: int, asker: str = "") -> bool:
        """Return whether the tenant has the product, with `asker` as in `tenant`.

        Raises DirectoryUnavailable.
        """
        answer = self.peek_product(tenant_id, product_id)
        if answer is not MISS:
            return answer
        key = (tenant_id, product_id)
        query = partial(_fetch_product, self._database, key)
        return await self._lookups.fetch(key, query, self._view.products, asker) is not None

    async def refresh(self) -> None:
        """Load a new snapshot; if that fails, keep the last one."""
        try:
            await self._load()
        except DirectoryUnavailable as error:
            self._note(error)

    async def _refresh_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            await self.refresh()

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        loaded = await loop.run_in_executor(self._loader, self._snapshots.load)
        if loaded.snapshot is not None:
            self._view = _View(loaded.snapshot, self._monotonic_s() - loaded.age_s)
        self._note(loaded.failure)

    def _note(self, failure: DirectoryUnavailable | None) -> None:
        """Log a failure, once per outage."""
        if failure and not self._is_stale:
            fields = {"reason": str(failure), "age_s": round(self.age_s(), 1)}
            log.warning(
                "the directory could not be refreshed; the last snapshot still serves",
                extra={"fields": fields},
            )
        self._is_stale = failure is not None

    def _peek(self, key: Reference) -> Tenant | Miss | None:
        view = self._view
        tenant = view.snapshot.tenant(key) or view.tenants.get(key)
        if tenant is not None:
            return tenant
        if key[0] == "slug" and not is_slug(key[1]):
            return None
        return None if self._lookups.is_denied(key) else MISS

    async def _tenant(self, key: Reference, asker: str) -> Tenant | None:
        answer = self._peek(key)
        if answer is not MISS:
            return answer
        query = partial(_fetch_tenant, self._database, key)
        return await self._lookups.fetch(key, query, self._view.tenants, asker)


def _fetch_tenant(database: DirectoryDatabase, key: Reference) -> Tenant | None:
    if key[0] == "id":
        tenant = database.find_tenant(id=key[1])
    elif key[0] == "uuid":
        tenant = database.find_tenant(uuid=key[1])
    else:
        tenant = database.find_tenant(slug=key[1])
    return tenant if tenant is not None and tenant.is_public else None


def _fetch_product(database: DirectoryDatabase, key: ProductKey) -> Literal[True] | None:
    return True if database.find_product(*key) else None
