"""Whose question is answered next: each reader has a queue, and administrators a lane of their own.

Shops and administrators each have a lane with a number of threads that it never exceeds, smaller
than the pool: whatever one lane asks, a thread is left for the other. Within a lane readers take
turns, so that one who asks much waits for itself. A lane holds a bounded number of questions, and a
reader a bounded share of them; past its share a reader floods.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.web.private.access import Reader

THREADS = 3
_LANE_THREADS = 2
SHOPS_MAX, OF_A_SHOP_MAX = 128, 16
ADMINS_MAX = OF_AN_ADMIN_MAX = 64

T = TypeVar("T")
_Key = int | str | None


class Overloaded(Exception):
    """More questions wait than will be answered in time."""


class Flooding(Overloaded):
    """This reader asks more at once than its share."""


class FairQueue:
    """Runs questions in a pool of threads; used by one event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "reports")
        self._shops = _Lane(SHOPS_MAX, OF_A_SHOP_MAX)
        self._admins = _Lane(ADMINS_MAX, OF_AN_ADMIN_MAX)
        self._running = 0

    @property
    def admitted(self) -> int:
        """How many questions are not answered yet."""
        return self._admins.admitted.total() + self._shops.admitted.total()

    @contextmanager
    def admit(self, reader: Reader) -> Iterator[None]:
        """Admit a question of one turn or more, until it is answered. Raises Overloaded."""
        with self._lane(reader).admit(_key(reader)):
            yield

    async def run(self, reader: Reader, question: Callable[[], T]) -> T:
        """Run an admitted question's next turn, and return its result."""
        lane = self._lane(reader)
        turn = lane.queue(_key(reader))
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end(lane)
            raise
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, question)
        finally:
            self._end(lane)

    def _lane(self, reader: Reader) -> _Lane:
        return self._admins if reader.is_admin else self._shops

    def _end(self, lane: _Lane) -> None:
        lane.running -= 1
        self._running -= 1
        self._grant()

    def _grant(self) -> None:
        for lane in (self._admins, self._shops):
            while self._running < THREADS and lane.grant():
                self._running += 1


class _Lane:
    """The queues of some readers, who take turns."""

    def __init__(self, questions_max: int, of_a_reader_max: int) -> None:
        self._questions_max = questions_max
        self._of_a_reader_max = of_a_reader_max
        self._queues: dict[_Key, deque[asyncio.Future[None]]] = {}
        self.admitted: Counter[_Key] = Counter()
        self.running = 0

    @contextmanager
    def admit(self, key: _Key) -> Iterator[None]:
        if self.admitted.total() >= self._questions_max:
            raise Overloaded
        if self.admitted[key] >= self._of_a_reader_max:
            raise Flooding
        self.admitted[key] += 1
        try:
            yield
        finally:
            self.admitted[key] -= 1
            if not self.admitted[key]:
                del self.admitted[key]

    def queue(self, key: _Key) -> asyncio.Future[None]:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, deque()).append(turn)
        return turn

    def grant(self) -> bool:
        """Give the next reader a turn, if there is one and a thread for it."""
        if self.running >= _LANE_THREADS:
            return False
        while self._queues:
            key, waiting = next(iter(self._queues.items()))
            del self._queues[key]
            turn = waiting.popleft()
            if waiting:
                self._queues[key] = waiting  # behind the others
            if not turn.cancelled():
                turn.set_result(None)
                self.running += 1
                return True
        return False


def _key(reader: Reader) -> _Key:
    return reader.token_id if reader.is_admin else reader.tenant_id
