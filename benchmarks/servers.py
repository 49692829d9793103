"""Servers under load: their processes, where they run, and the processor time that they take."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loads import Request
from benchmarks.rounds import BenchmarkFailed

START_TIMEOUT_S = 30.0
_PRINTED_MAX = 2_000


class NotStarted(BenchmarkFailed):
    """A server did not start; the message ends with its output."""


@dataclass(frozen=True, slots=True)
class Command:
    """A process of a server, which is there once it listens on `port`."""

    port: int
    line: Sequence[object]
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """A running server: its address, its folder, and the sessions of its processes."""

    url: str
    folder: Path
    sessions: Sequence[int]

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[3]) in self.sessions:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server to be measured.

    `commands` returns its processes for a port and a folder. `validates`: it checks the fields of
    an event. `durable`: the event is on disk before the response. `cpus`: how many it may use.
    """

    name: str
    commands: Callable[[int, Path], Sequence[Command]]
    validates: bool = True
    durable: bool = True
    cpus: int = 1
    adapt: Callable[[Request], Request] = lambda request: request
    """Returns the request for this server that carries the same event."""
    stored: Callable[[Path], int] | None = None
    """Returns the number of events that are stored in its folder; raises if one was rejected."""
    needs: str = ""
    """The command that installs it."""
    is_there: Callable[[], bool] = lambda: True


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """A server, pinned to the first `cpus` of the machine, and killed at the end."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"beaconlog-bench-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()  # what the one before has left to be written is not this one's to wait for
    port = free_port()
    pinned = ["taskset", "-c", ",".join(map(str, range(server.cpus)))]
    try:
        with ExitStack() as stack:
            sessions = []
            for command in server.commands(port, folder):
                environment = {key: str(value) for key, value in command.settings.items()}
                line = [*pinned, *command.line]
                process = stack.enter_context(_process(line, environment, folder))
                sessions.append(process.pid)
                _wait_for(command.port, process, folder)
            yield Running(f"http://127.0.0.1:{port}", folder, sessions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(
    line: Sequence[object], settings: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "stderr").open("ab") as stream:
        process = subprocess.Popen(
            [str(word) for word in line],
            env=os.environ | settings,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    printed = (folder / "stderr").read_text(errors="replace")[-_PRINTED_MAX:]
    raise NotStarted(f"nothing listens on port {port}; the server printed:\n{printed}")
