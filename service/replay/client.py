"""Send requests to a collector as fast as N persistent connections carry them.

The calling thread reads the requests, N sender threads send them, and a bounded queue between them
keeps memory flat for an input of any size.

Every request that is sent adds one to exactly one count: the status of its complete response, or
the reason of its transport error. No status is retried: 429 and 503 are results and are shown.
"""

import queue
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead

from service.replay.connection import Connection, Server
from service.replay.request_file import Request

QUEUED_REQUESTS_PER_SENDER = 16
PROGRESS_INTERVAL_S = 0.1
STOP_WAIT_S = 1.0  # for the requests in flight when a replay is interrupted

_REASONS: tuple[tuple[type[Exception], str], ...] = (  # the first match counts
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "connection closed"),
    (IncompleteRead, "connection closed"),
    (TimeoutError, "timeout"),
    (socket.gaierror, "host not found"),
    (ssl.SSLError, "TLS error"),
    (OSError, "network error"),
    (HTTPException, "malformed response"),
)


@dataclass(slots=True)
class Summary:
    """The results of a replay; `sent` is the sum of all counts."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    transport_errors: Counter[str] = field(default_factory=Counter)
    elapsed_s: float = 0.0

    @property
    def failed(self) -> bool:
        """Return whether any request got no response, or a 5xx."""
        return bool(self.transport_errors) or any(status >= 500 for status in self.statuses)


def replay(
    requests: Iterable[Request],
    url: str,
    *,
    concurrency: int,
    on_progress: Callable[[int], None],
    timeout_s: float = 30.0,
) -> Summary:
    """Send every request to `url` and return the counts of the responses.

    `url` is http or https; its path, if any, is put before the path of each request. `requests` is
    consumed, and `on_progress` called, in the calling thread: about ten times per second and once
    at the end, with the number of requests counted so far. `timeout_s` bounds each wait for the
    network.

    Raises ValueError for a bad `url` or `concurrency`. An exception of `requests` or `on_progress`,
    KeyboardInterrupt included, ends the replay: the queue is dropped, requests in flight get
    STOP_WAIT_S, and the exception propagates.
    """
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    started_s = time.perf_counter()
    pool = _SenderPool(Server.parse(url), concurrency, timeout_s, on_progress)
    try:
        for request in requests:
            pool.put(request)
        pool.finish()
    except BaseException:
        pool.abandon()
        raise
    return pool.summary(time.perf_counter() - started_s)


class _Sender(threading.Thread):
    """A thread that sends the requests of the queue until it reads None.

    A daemon: a server that hangs must not delay the exit of an interrupted replay.
    """

    def __init__(self, connection: Connection, work: queue.Queue[Request | None]) -> None:
        super().__init__(name="replay-sender", daemon=True)
        self._connection = connection
        self._work = work
        self.finished = 0  # beside the counters, because other threads read it while they grow
        self.statuses: Counter[int] = Counter()
        self.transport_errors: Counter[str] = Counter()

    def run(self) -> None:
        try:
            while (request := self._work.get()) is not None:
                self._send(request)
                self.finished += 1
        finally:
            self._connection.close()

    def _send(self, request: Request) -> None:
        try:
            self.statuses[self._connection.post(request)] += 1
        except (OSError, HTTPException) as error:
            reason = next(text for kind, text in _REASONS if isinstance(error, kind))
            self.transport_errors[reason] += 1


class _SenderPool:
    """The senders, as the thread that feeds them uses them."""

    def __init__(
        self,
        server: Server,
        concurrency: int,
        timeout_s: float,
        on_progress: Callable[[int], None],
    ) -> None:
        self._work: queue.Queue[Request | None] = queue.Queue(
            concurrency * QUEUED_REQUESTS_PER_SENDER
        )
        self._senders = [
            _Sender(Connection(server, timeout_s), self._work) for _ in range(concurrency)
        ]
        self._on_progress = on_progress
        self._next_progress_s = 0.0
        for sender in self._senders:
            sender.start()

    def put(self, request: Request | None) -> None:
        """Queue a request; block while the queue is full."""
        while True:
            self._report_progress()
            try:
                self._work.put(request, timeout=PROGRESS_INTERVAL_S)
            except queue.Full:
                if not any(sender.is_alive() for sender in self._senders):
                    raise RuntimeError("every sender has died") from None
            else:
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
            self._work.put_nowait(None)
        deadline_s = time.perf_counter() + STOP_WAIT_S
        for sender in self._senders:
            sender.join(max(0.0, deadline_s - time.perf_counter()))

    def summary(self, elapsed_s: float) -> Summary:
        """Return the sum of the senders' counts."""
        total = Summary(sent=self._finished, elapsed_s=elapsed_s)
        for sender in self._senders:
            total.statuses += sender.statuses
            total.transport_errors += sender.transport_errors
        return total

    @property
    def _finished(self) -> int:
        return sum(sender.finished for sender in self._senders)

    def _report_progress(self) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_progress_s:
            self._next_progress_s = now_s + PROGRESS_INTERVAL_S
            self._on_progress(self._finished)
