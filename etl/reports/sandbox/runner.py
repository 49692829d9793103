"""Run administrators' queries, each in a process that locks itself in: see `child`.

    sandbox = Sandbox(view, timeout_s=30.0)
    sandbox.question("SELECT type, count(*) FROM events GROUP BY type", rows_max=100).answer()

A child is killed at the deadline, at OUTPUT_BYTES_MAX of answer, and when nobody waits any more.
Whatever becomes of it, this process only reads bytes. A child imports for most of a second, so one
more is kept ready after a query, for the next; it inherits no descriptor and no secret.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.reports.limits import ReportTimeout
from etl.reports.sandbox import child as query_child
from etl.reports.sandbox.child import Question
from etl.reports.sandbox.only_select import QueryRefused
from etl.reports.sandbox.queries import QueryTooLarge

OUTPUT_BYTES_MAX = 64 << 20
"""JSON of one answer: 10,000 rows of 6 KiB."""
_ERRORS_BYTES_MAX = 1 << 20
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
_SPARES_MAX = 1


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


class Sandbox:
    """Asks children about one data folder; keeps up to `spares_max` of them ready."""

    def __init__(self, view: LiveView, timeout_s: float, *, spares_max: int = _SPARES_MAX) -> None:
        self.view = view
        self.timeout_s = timeout_s
        self._spares_max = spares_max
        self._spares: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _end_all, self._spares)

    def question(self, sql: str, rows_max: int) -> Running:
        """A query that is not run yet."""
        return Running(self, sql, rows_max)

    def take(self) -> subprocess.Popen[bytes]:
        """A child that nobody else asks."""
        with self._lock:
            while self._spares:
                child = self._spares.pop()
                if child.poll() is None:
                    return child
                _end(child)
        return _start()

    def prepare(self) -> None:
        """Have a child ready for the next query."""
        with self._lock:
            if len(self._spares) < self._spares_max:
                self._spares.append(_start())

    def close(self) -> None:
        """End the children that wait."""
        with self._lock:
            _end_all(self._spares)


class Running:
    """One query: `answer` runs it in a thread of the caller's, `cancel` ends it from any other."""

    def __init__(self, sandbox: Sandbox, sql: str, rows_max: int) -> None:
        self._sandbox, self._sql, self._rows_max = sandbox, sql, rows_max
        self._child: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False
        self._lock = threading.Lock()

    def answer(self) -> bytes:
        """The JSON of `queries.json_parts`.

        Raises QueryRefused, ReportTimeout, LakeError, DirectoryUnavailable, CannotConfine,
        Cancelled.
        """
        deadline_s = time.monotonic() + self._sandbox.timeout_s
        question = list(query_child.parts_of(self._question(), self._sandbox.view.names()))
        try:
            return self._heard(self._asked(question), deadline_s)
        finally:
            self._end()
            self._sandbox.prepare()

    def cancel(self) -> None:
        """End the child, if there is one, and start none."""
        with self._lock:
            self._is_cancelled = True
            if self._child:
                self._child.kill()

    def _question(self) -> Question:
        view, limits = self._sandbox.view, self._sandbox.view.limits
        return Question(
            self._sql,
            self._rows_max,
            str(view.data.absolute()),
            self._sandbox.timeout_s,
            limits.memory_bytes_max,
            limits.threads_max,
        )

    def _asked(self, parts: Iterable[bytes]) -> subprocess.Popen[bytes]:
        for _ in range(2):  # a child that waited may have gone meanwhile
            child = self._taken()
            try:
                with _pipe(child.stdin) as stdin:
                    stdin.writelines(parts)
            except BrokenPipeError:
                self._end()
            else:
                return child
        raise LakeError("the query's process ended before it was asked")

    def _taken(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_cancelled:
                raise Cancelled
            self._child = self._sandbox.take()
            return self._child

    def _heard(self, child: subprocess.Popen[bytes], deadline_s: float) -> bytes:
        try:
            answer = _read(_pipe(child.stdout).fileno(), deadline_s, OUTPUT_BYTES_MAX)
            says = _read(_pipe(child.stderr).fileno(), deadline_s, _ERRORS_BYTES_MAX)
            code = child.wait(max(0.0, deadline_s - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            code, answer, says = -signal.SIGALRM, b"", b""
        return self._judged(code, answer, says)

    def _judged(self, code: int, answer: bytes, says: bytes) -> bytes:
        if code == 0:
            return answer
        if self._is_cancelled:
            raise Cancelled
        if code == -signal.SIGALRM:
            raise ReportTimeout(f"the query took longer than {self._sandbox.timeout_s:g} s")
        if code < 0:
            raise QueryTooLarge
        told = says.rpartition(b"\0")[2].decode(errors="replace")
        if code in query_child.REFUSALS:
            raise query_child.REFUSALS[code](told)
        raise LakeError(f"the query's process failed: {told.strip().rpartition(chr(10))[2]}")

    def _end(self) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child:
            _end(child)


def _start() -> subprocess.Popen[bytes]:
    """A child that inherits three pipes and, of the environment, nothing that is a secret."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return subprocess.Popen(  # noqa: S603  (this program itself)
        [sys.executable, "-P", "-m", query_child.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path),
            "LANG": "C.UTF-8",
            # Address space is counted, and an arena per thread would reserve much of it.
            "MALLOC_ARENA_MAX": "2",
        },
        start_new_session=True,
    )


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise TypeError("a child has three pipes")
    return end


def _read(source: int, deadline_s: float, bytes_max: int) -> bytes:
    """All of a pipe. Raises TimeoutError, and QueryRefused where there is more.

    Pages of their own go back to the system at once, as a growing heap would not.
    """
    poll = select.poll()
    poll.register(source, select.POLLIN)
    length = 0
    with mmap.mmap(-1, bytes_max + 1) as content:
        while length <= bytes_max:
            if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                raise TimeoutError
            with memoryview(content) as whole, whole[length:] as free:
                read = os.readv(source, [free])
            if not read:
                return content[:length]
            length += read
    raise QueryRefused(
        f"The answer is larger than {bytes_max >> 20} MiB; select fewer columns or rows."
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            with suppress(OSError):  # what was not written yet
                pipe.close()
    child.wait()


def _end_all(children: list[subprocess.Popen[bytes]]) -> None:
    while children:
        _end(children.pop())
