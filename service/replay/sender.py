"""A thread that sends requests and batches on one connection, and counts what became of them."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead
from typing import TypeAlias

from service.replay.batch import Batch, outcome
from service.replay.connection import Connection
from service.replay.request_file import Request

TRIES_MAX = 5
RETRY_WAIT_MAX_S = 30.0

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

Work: TypeAlias = Request | Batch


@dataclass(slots=True)
class Counts:
    """Requests and events by the status of the response, that of the result, or transport error."""

    statuses: Counter[int] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    transport_errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Add the counts of another sender."""
        self.statuses += other.statuses
        self.results += other.results
        self.transport_errors += other.transport_errors


class Sender(threading.Thread):
    """A thread that sends the work of a queue until it reads None, and frees a place for each.

    A daemon: a server that hangs must not delay the exit of an interrupted replay.
    """

    def __init__(
        self,
        connection: Connection,
        work: queue.SimpleQueue[Work | None],
        places: queue.SimpleQueue[None],
        pause: Callable[[float], None],
    ) -> None:
        super().__init__(name="replay-sender", daemon=True)
        self._connection = connection
        self._work = work
        self._places = places
        self._pause = pause
        self.finished = 0  # beside the counters, because other threads read it while they grow
        self.counts = Counts()

    def run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                self._places.put(None)
                if isinstance(work, Batch):
                    self._send_batch(work)
                    self.finished += len(work.events)
                else:
                    self._send(work)
                    self.finished += 1
        finally:
            self._connection.close()

    def _send(self, request: Request) -> None:
        try:
            self.counts.statuses[self._connection.post(request).status] += 1
        except (OSError, HTTPException) as error:
            self.counts.transport_errors[_reason(error)] += 1

    def _send_batch(self, batch: Batch) -> None:
        """Send a batch, and then those of its events again that can be taken later."""
        counts, tries = self.counts, 1
        while True:
            try:
                response = self._connection.post(batch.request())
            except (OSError, HTTPException) as error:
                counts.transport_errors[_reason(error)] += len(batch.events)
                return
            after = outcome(batch, response)
            counts.results += after.final
            counts.statuses += after.statuses
            if after.again is None:
                return
            if tries == TRIES_MAX:
                counts.results += after.waiting
                return
            batch, tries = after.again, tries + 1
            self._pause(min(response.retry_after_s, RETRY_WAIT_MAX_S))


def _reason(error: Exception) -> str:
    return next(text for kind, text in _REASONS if isinstance(error, kind))
