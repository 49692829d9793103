"""The worker processes of administrators' queries: one worker per query.

    sandbox = Sandbox(view, timeout_s=30.0)
    sandbox.query("SELECT type, count(*) FROM events GROUP BY type", rows_max=100).run()

A worker confines itself before it runs the query. It is killed at the deadline, past
OUTPUT_BYTES_MAX of output, and when its query is cancelled; this process only reads its bytes. The
imports of a worker take most of a second, so after each query a spare worker is started for the
next query. A worker inherits no descriptor and no secret.
"""

from __future__ import annotations

import signal
import threading
import time
import weakref
from collections.abc import Iterable, Mapping

from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.reports.limits import ReportTimeout
from etl.reports.sandbox import protocol
from etl.reports.sandbox.process import Ended, WorkerProcess
from etl.reports.sandbox.protocol import ERRORS, MARK, Task
from etl.reports.sandbox.queries import QueryTooLarge

_ATTEMPTS_MAX = 2


class Cancelled(Exception):
    """The query was cancelled."""


class Sandbox:
    """The pool of workers for queries on one data folder; up to `spares_max` of them are ready."""

    def __init__(self, view: LiveView, timeout_s: float, *, spares_max: int = 1) -> None:
        self.view = view
        self.timeout_s = timeout_s
        self._spares_max = spares_max
        self._spares: list[WorkerProcess] = []
        self._is_closed = False
        self._lock = threading.Lock()
        weakref.finalize(self, _end_all, self._spares)

    def query(self, sql: str, rows_max: int) -> Query:
        """Return a query that has not run yet."""
        return Query(self, sql, rows_max)

    def take_worker(self) -> WorkerProcess:
        """Return a spare worker, or a new one; the caller ends it."""
        with self._lock:
            while self._spares:
                worker = self._spares.pop()
                if worker.is_alive:
                    return worker
                worker.end()
        return WorkerProcess()

    def start_spare(self) -> None:
        """Start a spare worker, unless `spares_max` are ready or the pool is closed."""
        with self._lock:
            if not self._is_closed and len(self._spares) < self._spares_max:
                self._spares.append(WorkerProcess())

    def close(self) -> None:
        """End the spare workers, and start no more: a query that still runs may end later."""
        with self._lock:
            self._is_closed = True
            _end_all(self._spares)


class Query:
    """One query: `run` blocks the caller's thread; `cancel` ends it from any other thread."""

    def __init__(self, sandbox: Sandbox, sql: str, rows_max: int) -> None:
        self._sandbox, self._sql, self._rows_max = sandbox, sql, rows_max
        self._worker: WorkerProcess | None = None
        self._is_cancelled = False
        self._lock = threading.Lock()

    def run(self) -> bytes:
        """Return the JSON of `queries.json_parts`.

        Raises QueryRefused, ReportTimeout, LakeError, DirectoryUnavailable, CannotConfine,
        Cancelled.
        """
        deadline_s = time.monotonic() + self._sandbox.timeout_s
        task = self._task(self._sandbox.view.refresh())
        parts = list(protocol.encode(task, self._sandbox.view.names()))
        try:
            return self._output(self._send(parts).wait(deadline_s))
        except TimeoutError:
            raise self._timeout() from None
        finally:
            self._end()
            self._sandbox.start_spare()

    def cancel(self) -> None:
        """Kill the worker if one runs; if `run` has not started one yet, it raises Cancelled."""
        with self._lock:
            self._is_cancelled = True
            if self._worker:
                self._worker.kill()

    def _task(self, versions: Mapping[str, int]) -> Task:
        view, limits = self._sandbox.view, self._sandbox.view.limits
        return Task(
            self._sql,
            self._rows_max,
            str(view.data.absolute()),
            str(view.store.folder.absolute()),
            self._sandbox.timeout_s,
            limits.memory_bytes_max,
            limits.threads_max,
            versions,
        )

    def _send(self, parts: Iterable[bytes]) -> WorkerProcess:
        for _ in range(_ATTEMPTS_MAX):  # a spare may end while it waits
            worker = self._take()
            try:
                worker.send(parts)
            except BrokenPipeError:
                self._end()
            else:
                return worker
        raise LakeError("the query's process ended before it read the query")

    def _take(self) -> WorkerProcess:
        with self._lock:
            if self._is_cancelled:
                raise Cancelled
            self._worker = self._sandbox.take_worker()
            return self._worker

    def _output(self, ended: Ended) -> bytes:
        """Return the output of a worker that succeeded; raise the error of a worker that failed."""
        if ended.code == 0:
            return ended.output
        if self._is_cancelled:
            raise Cancelled
        if ended.code == -signal.SIGALRM:
            raise self._timeout()
        if ended.code < 0:
            raise QueryTooLarge
        message = ended.errors.decode(errors="replace").rpartition(MARK)[2]
        if ended.code in ERRORS:
            raise ERRORS[ended.code](message)
        raise LakeError(f"the query's process failed: {message.strip().rpartition(chr(10))[2]}")

    def _timeout(self) -> ReportTimeout:
        return ReportTimeout(f"the query took longer than {self._sandbox.timeout_s:g} s")

    def _end(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker:
            worker.end()


def _end_all(workers: list[WorkerProcess]) -> None:
    while workers:
        workers.pop().end()
