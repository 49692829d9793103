"""Send requests to a collector as fast as N persistent connections carry them.

The calling thread reads the requests, N sender threads send them, and a bounded queue between them
keeps memory flat for an input of any size. The queue is two of the kind `queue.SimpleQueue`, one of
work and one of free places, because their methods can be interrupted anywhere: a KeyboardInterrupt
inside `queue.Queue.put` may leave its lock taken, and then nobody can use the queue again.

Every request that is sent adds one to exactly one count: the status of its complete response, or
the reason of its transport error. No status is retried: 429 and 503 are results and are shown.

Every event of a batch adds one to exactly one count, too: the status of its result, the status of a
response without results, or a transport error. Events that the collector can take later are sent
again without the rest of their batch, after `Retry-After`, up to four times. So nothing
that was taken is sent twice.
"""

import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from service.replay.connection import Connection, Server
from service.replay.sender import Counts, Sender, Work

QUEUED_REQUESTS_PER_SENDER = 16
PROGRESS_INTERVAL_S = 0.1
STOP_WAIT_S = 1.0  # for the requests in flight when a replay is interrupted


@dataclass(slots=True)
class Summary(Counts):
    """The results of a replay; `sent` is the sum of all counts."""

    sent: int = 0
    elapsed_s: float = 0.0

    @property
    def failed(self) -> bool:
        """Return whether any request got no response or a 5xx, or an event could not be stored."""
        return (
            bool(self.transport_errors)
            or self.results["unavailable"] > 0
            or any(status >= 500 for status in self.statuses)
        )


def replay(  # noqa: PLR0913  (its clock, passed in)
    requests: Iterable[Work],
    url: str,
    *,
    concurrency: int,
    on_progress: Callable[[int], None],
    timeout_s: float = 30.0,
    pause: Callable[[float], None] = time.sleep,
) -> Summary:
    """Send every request to `url` and return the counts of the responses.

    `url` is http or https; its path, if any, is put before the path of each request. `requests` is
    consumed, and `on_progress` called, in the calling thread: about ten times per second and once
    at the end, with the number of requests and events counted so far. `timeout_s` bounds each
    wait for the network; `pause` waits some seconds before events are sent again.

    Raises ValueError for a bad `url` or `concurrency`. An exception of `requests` or `on_progress`,
    KeyboardInterrupt included, ends the replay: the queue is dropped, requests in flight get
    STOP_WAIT_S, and the exception propagates.
    """
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    started_s = time.perf_counter()
    connect = partial(Connection, Server.parse(url), timeout_s)
    pool = _SenderPool(concurrency, connect, pause, on_progress)
    try:
        for request in requests:
            pool.put(request)
        pool.finish()
    except BaseException:
        pool.abandon()
        raise
    return pool.summary(time.perf_counter() - started_s)


class _SenderPool:
    """The senders, as the thread that feeds them uses them."""

    def __init__(
        self,
        concurrency: int,
        connect: Callable[[], Connection],
        pause: Callable[[float], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(concurrency * QUEUED_REQUESTS_PER_SENDER):
            self._places.put(None)
        self._senders = [
            Sender(connect(), self._work, self._places, pause) for _ in range(concurrency)
        ]
        self._on_progress = on_progress
        self._next_progress_s = 0.0
        for sender in self._senders:
            sender.start()

    def put(self, work: Work | None) -> None:
        """Queue work; block while the queue is full."""
        while True:
            self._report_progress()
            try:
                self._places.get(timeout=PROGRESS_INTERVAL_S)
            except queue.Empty:
                if not any(sender.is_alive() for sender in self._senders):
                    raise RuntimeError("every sender has died") from None
            else:
                self._work.put(work)
                return

    def finish(self) -> None:
        """Wait until every queued request is counted."""
        for _ in self._senders:
            self.put(None)
        for sender in self._senders:
            while sender.is_alive():
                sender.join(PROGRESS_INTERVAL_S)
                self._report_progress()
        if not self._work.empty():  # each sender takes one None, unless a defect ended it
            raise RuntimeError("a sender has died")
        self._on_progress(self._finished)

    def abandon(self) -> None:
        """Drop the queue and let the senders end."""
        try:
            while True:
                self._work.get_nowait()
        except queue.Empty:
            pass
        for _ in self._senders:
            self._work.put(None)
        deadline_s = time.perf_counter() + STOP_WAIT_S
        for sender in self._senders:
            sender.join(max(0.0, deadline_s - time.perf_counter()))

    def summary(self, elapsed_s: float) -> Summary:
        """Return the sum of the senders' counts."""
        total = Summary(sent=self._finished, elapsed_s=elapsed_s)
        for sender in self._senders:
            total.add(sender.counts)
        return total

    @property
    def _finished(self) -> int:
        return sum(sender.finished for sender in self._senders)

    def _report_progress(self) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_progress_s:
            self._next_progress_s = now_s + PROGRESS_INTERVAL_S
            self._on_progress(self._finished)
