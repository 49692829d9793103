"""The thread in which a journal writes: one call at a time, each awaited on the event loop.

It does what a ThreadPoolExecutor of one thread does, without its futures, locks and bookkeeping:
they cost several times as much as the hand-over itself, at every group commit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Call(Generic[T]):
    """A call, and the future that takes its result on the loop."""

    __slots__ = ("_error", "_function", "_result", "future")

    def __init__(self, function: Callable[[], T], future: asyncio.Future[T]) -> None:
        self._function = function
        self.future = future

    def run(self) -> None:
        """Call the function, and keep its result or its error; in the thread."""
        self._error: BaseException | None = None
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 (raised again by the future)
            self._error = error

    def settle(self) -> None:
        """Give the result or the error to the future; on the loop."""
        if self.future.done():
            return  # cancelled
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)


class DiskThread:
    """One thread for blocking calls. Create it, and call every method, on a running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run_calls, name="journal", daemon=True)
        self._thread.start()

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Call the function after the calls before it, and return the future of its result."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._calls.put(_Call(function, future))
        return future

    def close(self) -> None:
        """End the thread after the calls before this, and wait for it."""
        self._calls.put(None)
        self._thread.join()

    def _run_calls(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            self._loop.call_soon_threadsafe(call.settle)
