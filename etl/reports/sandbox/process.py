"""The parent's side of a worker process: start it without secrets, read its output, kill it."""

from __future__ import annotations

import mmap
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from etl.reports.sandbox.only_select import QueryRefused

OUTPUT_BYTES_MAX = 64 << 20
"""The maximum size of an answer in JSON, enough for 10,000 rows of 6 KiB."""
_ERRORS_BYTES_MAX = 1 << 20
_MODULE = "etl.reports.sandbox.worker"
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a worker: exit code (negative: the signal that killed it), stdout and stderr."""

    code: int
    output: bytes
    errors: bytes


class WorkerProcess:
    """A worker process, which runs one task."""

    def __init__(self) -> None:
        variables = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603  (this program itself)
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={
                **variables,
                "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path),
                "LANG": "C.UTF-8",
                # The address space is limited, and an arena per thread would reserve much of it.
                "MALLOC_ARENA_MAX": "2",
            },
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, parts: Iterable[bytes]) -> None:
        """Write the task. Raises BrokenPipeError if the worker has ended."""
        with _pipe(self._process.stdin) as stdin:
            stdin.writelines(parts)

    def wait(self, deadline_s: float) -> Ended:
        """Read the output until the worker ends. `deadline_s` is on the monotonic clock.

        Raises TimeoutError; QueryRefused past OUTPUT_BYTES_MAX.
        """
        output = _read(_pipe(self._process.stdout).fileno(), deadline_s, OUTPUT_BYTES_MAX)
        errors = _read(_pipe(self._process.stderr).fileno(), deadline_s, _ERRORS_BYTES_MAX)
        try:
            code = self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return Ended(code, output, errors)

    def kill(self) -> None:
        """Kill the worker; `end` must follow."""
        self._process.kill()

    def end(self) -> None:
        """Kill the worker, close its pipes and reap it."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                with suppress(OSError):  # bytes that could not be written
                    pipe.close()
        self._process.wait()


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise TypeError("a worker has three pipes")
    return end


def _read(source: int, deadline_s: float, bytes_max: int) -> bytes:
    """Read a pipe to its end. Raises TimeoutError; QueryRefused past `bytes_max`.

    The bytes are read into an anonymous map, whose pages return to the system at once; those of a
    grown heap would not.
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
