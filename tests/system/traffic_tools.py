"""Tools of the traffic tests: commands as processes, clients, and their ledger of acks.

Nothing of beaconlog is imported: processes, HTTP and files are all there is.
"""

import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import pytest
from directories import new_folder
from harness import pause_s

START_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 60.0
HTTP_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 240.0
NEVER_S = 10**9

Found = TypeVar("Found")


def dataset(name: str) -> Path:
    """A file of the datasets beside the checkout; skips the test where they are not."""
    path = Path(__file__).resolve().parents[3] / "shared" / "datasets" / name
    if not path.exists():
        missing = f"../shared/datasets is not there: {name} is what this test is about"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return path


def eventually(check: Callable[[], Found | None], *, timeout_s: float, what: str) -> Found:
    """Poll until `check` gives something true, and return that; fail after `timeout_s`.

    A check that takes long pauses for longer, as `harness.eventually` does.
    """
    began_s = time.monotonic()
    deadline_s = began_s + timeout_s
    while not (found := check()):
        ended_s = time.monotonic()
        if ended_s > deadline_s:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(pause_s(ended_s - began_s))
        began_s = time.monotonic()
    return found


# -- commands ---------------------------------------------------------------------------------


def command(*arguments: object) -> list[str]:
    """A beaconlog command line."""
    return [sys.executable, "-m", "service", *map(str, arguments)]


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """This process' environment with these settings and no others."""
    kept = {key: text for key, text in os.environ.items() if not key.startswith("BEACONLOG_")}
    return kept | {f"BEACONLOG_{key.upper()}": str(value) for key, value in settings.items()}


def run(
    *arguments: object, data: Path | None = None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code."""
    where = ("--data", data) if data else ()
    line = command(*arguments, *where)
    with subprocess.Popen(
        line,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it started would hold the pipes open
            raise
    return subprocess.CompletedProcess(line, process.returncode, out, err)


def run_json(*arguments: object, data: Path, **settings: object) -> Any:
    """Run a command that prints JSON and must succeed; numbers with a point are Decimals."""
    done = run(*arguments, data=data, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout, parse_float=Decimal)


def report(name: str, *options: object, data: Path) -> Any:
    """A report from the command line."""
    return run_json("report", name, *options, "--format", "json", data=data)


def check(data: Path) -> Any:
    """Run `beaconlog check`, which must find no problem, and return its findings."""
    found = run_json("check", "--json", data=data)
    assert found["ok"], found
    return found


# -- the service ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Service:
    """A running `serve`, `collect` or `warehouse`."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where the public port listens."""
        return self._url("public")

    def report(self, name: str, **parameters: str) -> Any:
        """A report over HTTP."""
        address = urlsplit(self._url("reports")).netloc
        connection = http.client.HTTPConnection(address, timeout=HTTP_TIMEOUT_S)
        try:
            connection.request("GET", f"/api/v1/reports/{name}?{urlencode(parameters)}")
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        assert response.status == 200, (response.status, body)
        return json.loads(body, parse_float=Decimal)

    def children(self) -> list[int]:
        """The pids of the processes it keeps running, workers and warehouse."""
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def drain(self) -> None:
        """Stop it as an operator does. It must end well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DRAIN_TIMEOUT_S) == 0, self.log.read_text()

    def _url(self, port: str) -> str:
        def listening() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(rf"port={port} url=(\S+)", self.log.read_text())

        return eventually(listening, timeout_s=START_TIMEOUT_S, what="the service listens")[1]


@contextmanager
def running(role: str, data: Path, **settings: object) -> Iterator[Service]:
    """A role at work on `data`; killed at the end unless it was drained."""
    defaults: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 0,
        "reports_port": 0,
        "trusted_proxies": "127.0.0.1",
        "throttle_api": "off",
        "throttle_tenant_aware": "off",
        "occurred_past_max_days": 36500,
        "compact_interval_s": NEVER_S,
    }
    data.mkdir(exist_ok=True)
    log = data.with_name(f"{data.name}-{role}.log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command(role, "--data", data), stderr=stream, env=environment(defaults | settings)
        )
    try:
        yield Service(process, log)
    finally:
        if process.poll() is None:
            process.kill()  # its children drain by themselves when it is gone
            process.wait()


def import_directory(*files: Path, data: Path) -> None:
    """Import tenants, and products if there are any; into a new folder, perhaps by a copy."""

    def do_import(folder: Path) -> None:
        done = run("directory", "import", *files, data=folder)
        assert done.returncode == 0, done.stderr

    if data.exists() and any(data.iterdir()):
        do_import(data)
    else:
        new_folder(data, tuple(file.read_bytes() for file in files), do_import)


# -- clients ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """The clients' sent and acked events, by the key under which an event counts once."""

    sent_at_s: dict[str, float] = field(default_factory=dict)
    acked_at_s: dict[str, float] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self, key: str) -> None:
        """Note that a request is about to be sent."""
        with self._lock:
            self.sent_at_s.setdefault(key, time.monotonic())

    def acked(self, key: str, answer: object) -> None:
        """Note that its success was read."""
        with self._lock:
            self.acked_at_s.setdefault(key, time.monotonic())
            self.answers[key] = answer

    def sent(self) -> int:
        """How many events were sent up to now."""
        return len(self.sent_at_s)

    def acked_by(self, moment_s: float) -> int:
        """How many events were acked by a moment of the monotonic clock."""
        with self._lock:
            return sum(at_s <= moment_s for at_s in self.acked_at_s.values())


class Client:
    """One persistent connection, opened again where it was closed."""

    def __init__(self, url: str, timeout_s: float = HTTP_TIMEOUT_S) -> None:
        self._http = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)

    def post(self, path: str, body: object, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Status and body of the answer. Raises OSError, HTTPException where there is none."""
        sent = {"Content-Type": "application/json", **headers}
        try:
            self._http.request("POST", path, json.dumps(body), sent)
            response = self._http.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


@contextmanager
def crew(
    work: Callable[[Client, Any], None],
    items: Iterable[Any],
    *,
    url: str,
    clients: int,
    timeout_s: float = HTTP_TIMEOUT_S,
) -> Iterator[Callable[[], bool]]:
    """Clients that take items in turn and do `work` with them, each on a connection of its own.

    Gives a function that tells whether they are still at it. On leaving, waits until the items
    are done; what a client raised is raised then.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    stop = threading.Event()

    def drive() -> None:
        client = Client(url, timeout_s)
        try:
            while not stop.is_set():
                work(client, waiting.get_nowait())
        except queue.Empty:
            pass
        finally:
            client.close()

    with ThreadPoolExecutor(clients) as pool:
        driving = [pool.submit(drive) for _ in range(clients)]
        try:
            yield lambda: not all(one.done() for one in driving)
            for one in driving:
                one.result()
        finally:
            stop.set()
