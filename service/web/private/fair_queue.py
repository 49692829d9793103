"""A fair queue for questions.

Shops have one lane and administrators have another. A lane may use fewer threads than the pool has,
so a thread always remains for the other lane. Within a lane each reader has a queue and the readers
take turns, so a reader with many questions delays only itself. A lane admits a bounded number of
questions, and a shop a bounded share of those of its lane.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.web.private.reader import Reader

THREADS = 3
_LANE_THREADS = 2
SHOPS_MAX, OF_A_SHOP_MAX = 128, 16
ADMINS_MAX = OF_AN_ADMIN_MAX = 64

T = TypeVar("T")
_Key = int | str | None


class Overloaded(Exception):
    """The lane is full, because too many questions wait."""


class Flooding(Overloaded):
    """The reader has more questions than its share."""


class FairQueue:
    """A pool of threads that runs questions, for one event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "reports")
        self._shops = _Lane(SHOPS_MAX, OF_A_SHOP_MAX)
        self._admins = _Lane(ADMINS_MAX, OF_AN_ADMIN_MAX)
        self._running = 0

    @property
    def admitted(self) -> int:
        """The number of questions that are admitted and not answered yet."""
        return self._admins.admitted.total() + self._shops.admitted.total()

    @contextmanager
    def admit(self, reader: Reader) -> Iterator[None]:
        """Admit a question; within this context, call `run` once or more. Raises Overloaded."""
        with self._lane(reader).admit(_key(reader)):
            yield

    async def run(self, reader: Reader, function: Callable[[], T]) -> T:
        """Run a function of an admitted question in its turn, and return its result."""
        lane = self._lane(reader)
        turn = lane.enqueue(_key(reader))
        self._start_turns()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end_turn(lane)
            raise
        running = asyncio.get_running_loop().run_in_executor(self._pool, function)
        # A caller that is cancelled does not stop the thread, so the turn ends with the thread.
        running.add_done_callback(lambda _: self._end_turn(lane))
        return await asyncio.shield(running)

    def _lane(self, reader: Reader) -> _Lane:
        return self._admins if reader.is_admin else self._shops

    def _end_turn(self, lane: _Lane) -> None:
        lane.running -= 1
        self._running -= 1
        self._start_turns()

    def _start_turns(self) -> None:
        for lane in (self._admins, self._shops):
            while self._running < THREADS and lane.start_turn():
                self._running += 1


class _Lane:
    """A queue per reader; the readers take turns."""

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

    def enqueue(self, key: _Key) -> asyncio.Future[None]:
        """Return a future that is done when the turn starts."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, deque()).append(turn)
        return turn

    def start_turn(self) -> bool:
        """Start the next reader's turn; return False if no reader waits or no thread is free."""
        if self.running >= _LANE_THREADS:
            return False
        while self._queues:
            key, queue = next(iter(self._queues.items()))
            del self._queues[key]
            turn = queue.popleft()
            if queue:
                self._queues[key] = queue  # behind the other readers
            if not turn.cancelled():
                turn.set_result(None)
                self.running += 1
                return True
        return False


def _key(reader: Reader) -> _Key:
    return reader.token_id if reader.is_admin else reader.tenant_id
