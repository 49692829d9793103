"""Look-ups in the directory's database for keys that the snapshot does not hold.

Concurrent look-ups of a key share one query. A negative result is cached for `negative_ttl_s`, in a
dict in order of insertion; a cachetools.TTLCache saves eleven lines, but takes twice as long to
look up. Bounded are the look-ups in flight, in total and per asker (the client's address), and the
negative results. Call all methods in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from etl.directory.entries import DirectoryUnavailable

T = TypeVar("T")

_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupBounds:
    """The bounds of look-ups; `pending_*` count those in flight.

    `pending_per_asker_max` keeps one address from filling the queue with invented tenants.
    """

    negative_ttl_s: float = 2.0
    negative_max: int = 10_000
    pending_max: int = 1_000
    pending_per_asker_max: int = 32
    timeout_s: float = 3.0


class Lookups:
    """The look-ups of one collector."""

    def __init__(
        self, bounds: LookupBounds, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._bounds = bounds
        self._monotonic_s = monotonic_s
        self._denied_until_s: dict[Hashable, float] = {}
        self._pending: dict[Hashable, asyncio.Task[Any]] = {}
        self._pending_by_asker: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(_THREADS, "directory-lookup")

    def is_denied(self, key: Hashable) -> bool:
        """Return whether a negative result for the key is still cached."""
        now_s = self._monotonic_s()
        return now_s < self._denied_until_s.get(key, now_s)

    async def fetch(
        self, key: Hashable, query: Callable[[], T | None], results: dict[Any, T], asker: str
    ) -> T | None:
        """Run the query in a thread and return its result; store a positive one in `results`.

        Raises DirectoryUnavailable, also if the query takes too long or too many are in flight.
        """
        task: asyncio.Task[T | None] | None = self._pending.get(key)
        if task is None:
            task = self._begin(key, query, results, asker)
        # Not wait_for: from Python 3.12 on it needs a task, and the fast server uses none.
        done, _ = await asyncio.wait([task], timeout=self._bounds.timeout_s)
        if not done:
            raise DirectoryUnavailable("the directory's database takes too long")
        return task.result()

    def close(self) -> None:
        """Start no more look-ups; those in flight continue."""
        self._threads.shutdown(wait=False)

    def _begin(
        self, key: Hashable, query: Callable[[], T | None], results: dict[Any, T], asker: str
    ) -> asyncio.Task[T | None]:
        if len(self._pending) >= self._bounds.pending_max:
            raise DirectoryUnavailable("too many directory look-ups in flight")
        if self._pending_by_asker[asker] >= self._bounds.pending_per_asker_max:
            raise DirectoryUnavailable("too many directory look-ups in flight from one address")
        running = self._run(key, query, results)
        task = asyncio.create_task(running)
        self._pending[key] = task
        self._pending_by_asker[asker] += 1
        task.add_done_callback(partial(self._ended, key, asker))
        return task

    async def _run(
        self, key: Hashable, query: Callable[[], T | None], results: dict[Any, T]
    ) -> T | None:
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, query)
        if answer is None:
            self._deny(key)
        else:
            results[key] = answer
        return answer

    def _ended(self, key: Hashable, asker: str, task: asyncio.Task[Any]) -> None:
        del self._pending[key]
        self._pending_by_asker[asker] -= 1
        if not self._pending_by_asker[asker]:
            del self._pending_by_asker[asker]
        if not task.cancelled():
            task.exception()  # read once, so that asyncio logs nothing if no waiter is left

    def _deny(self, key: Hashable) -> None:
        self._denied_until_s.pop(key, None)
        self._denied_until_s[key] = self._monotonic_s() + self._bounds.negative_ttl_s
        if len(self._denied_until_s) > self._bounds.negative_max:
            del self._denied_until_s[next(iter(self._denied_until_s))]
