"""A real service for the system tests: start it, talk to it, read its files, stop it.

Nothing of service/ or etl/ is imported: processes are run, HTTP is spoken, files are read. What
is started ends with `stop` or `kill`; the fixture `start_service` sees to it. Settings are given
by their key (`workers=2`) and passed as environment variables; no others reach the process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import duckdb
from wire import Reply, answers, request

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
COLMENA_UUID = "5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10"
MARACA_UUID = "0c5a4d52-93c1-4c84-9f0e-3d0f5a8f1b22"
CLOSED_UUID = "b3a1f5c0-6f0e-4c7b-8a51-2f9f0d6c7e33"
TENANTS_CSV = f"""\
id,uuid,slug,name,status
1,{COLMENA_UUID},la-colmena,La Colmena,active
2,{MARACA_UUID},cafe-maraca,Café Maraca,active
3,{CLOSED_UUID},tienda-cerrada,Tienda Cerrada,inactive
"""
PRODUCTS_CSV = """\
id,tenant_id,name,price
101,1,Miel,120.00
102,1,Vela,45.50
201,2,Café,90.00
"""

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0  # a drain takes up to 10 s; past that the exit code is not 0
_POLL_MIN_S, _POLL_MAX_S = 0.05, 1.0


def eventually(check: Callable[[], T | None], timeout_s: float = 60.0) -> T:
    """Call `check` until it returns a true value, and return that; fail after `timeout_s`.

    A check that takes long pauses for longer: what it waits for needs the processor too.
    """
    began_s = time.monotonic()
    deadline_s = began_s + timeout_s
    while not (result := check()):
        ended_s = time.monotonic()
        assert ended_s < deadline_s, f"not within {timeout_s} s: {check}"
        time.sleep(pause_s(ended_s - began_s))
        began_s = time.monotonic()
    return result


def pause_s(check_s: float) -> float:
    """Return the pause after a check that took `check_s`."""
    return min(_POLL_MAX_S, max(_POLL_MIN_S, 3 * check_s))


class Service:
    """One `serve`, `collect` or `warehouse` and its data folder.

    `python` runs the source tree `code`; `settings` are keys of the settings file. `prefix` is put
    before its command line. Every instance has a working directory of its own beside `data`, so
    that no settings file is found.
    """

    def __init__(
        self,
        data: Path,
        *,
        role: str = "serve",
        code: Path = REPOSITORY,
        python: str | Path = sys.executable,
        flags: tuple[str, ...] = (),
        prefix: tuple[str, ...] = (),
        **settings: object,
    ) -> None:
        self.data = data
        self._prefix = prefix
        self._role = role
        self._python = python
        self._flags = flags
        self._workers = int(str(settings.get("workers", 1)))
        self._env = environment(
            code, {"host": "127.0.0.1", "port": 0, "reports_port": 0, **settings, "data": data}
        )
        self.log_path = data.with_name(f"{data.name}.log")
        self._cwd = data.with_name(f"{data.name}.cwd")
        self._cwd.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> Service:
        """Run it and wait until every process of it answers, ready or not."""
        self.launch()
        return self.wait_for_start()

    def wait_for_start(self) -> Service:
        """Wait until every process of it answers, ready or not."""
        for url in self.urls():
            eventually(partial(answers, f"{url}/readyz"), START_TIMEOUT_S)
        if self._role != "warehouse":
            eventually(lambda: self.log().count(" collecting ") >= self._workers, START_TIMEOUT_S)
        return self

    def wait_for_first_jobs(self) -> None:
        """Wait until a warehouse has compacted and maintained, as it does once it starts.

        They take memory and leave files, without events too; later events wait for the next time.
        """
        first = self.data / "lake" / "duplicates" / "_delta_log" / f"{0:020d}.json"
        eventually(lambda: first.exists() and " maintained " in self.log(), START_TIMEOUT_S)

    def launch(self) -> None:
        """Run it and wait for nothing."""
        self.log_path.touch()
        self._log_start = self.log_path.stat().st_size
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, self._python, "-m", "service", self._role, *self._flags],
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM; the exit code. Fails when it has not ended within `timeout_s`."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL to the supervisor and every process it made."""
        if self._process is not None:
            for pid in (self.process.pid, *self.children()):
                _kill(pid)
            self.process.wait()
            eventually(lambda: not group(self.process.pid))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """SIGSTOP to every process of it, and SIGCONT."""
        self._signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in group(self.pid):
            signal_to(pid, number)

    def end(self) -> None:
        """Leave nothing running, whatever state it is in; never fails."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in group(self._process.pid):
            _kill(pid)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """The process ids of workers and warehouse."""
        return [pid for pid in group(self.pid) if pid != self.pid]

    def log(self) -> str:
        """Return its stdout and stderr since its last start."""
        with self.log_path.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    # -- HTTP ---------------------------------------------------------------------------------

    def urls(self) -> list[str]:
        """The addresses it listens on."""
        ports = {"serve": ("public", "reports"), "collect": ("public",), "warehouse": ("reports",)}
        return [self._url_of(port) for port in ports[self._role]]

    @property
    def url(self) -> str:
        """The public port's address."""
        return self._url_of("public")

    @property
    def reports_url(self) -> str:
        """The private port's address."""
        return self._url_of("reports")

    def _url_of(self, port: str) -> str:
        def found() -> str | None:
            match = re.search(rf"listening port={port} url=(\S+)\n", self.log())
            if match is None:
                assert self.process.poll() is None, f"it ended: {self.log()}"
            return match[1] if match else None

        return eventually(found, START_TIMEOUT_S)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
        *,
        base: str | None = None,
    ) -> Reply:
        """Send one request on a connection of its own; see `request`."""
        return request(method, (base or self.url) + path, body, headers)

    def post(
        self, path: str, body: object, headers: Mapping[str, str | None] | None = None
    ) -> Reply:
        """POST to the public port: bytes and text as they are, anything else as JSON."""
        return self.request("POST", path, body, headers)

    def get(self, path: str, headers: Mapping[str, str | None] | None = None) -> Reply:
        """GET from the public port."""
        return self.request("GET", path, None, headers)

    def get_private(self, path: str, headers: Mapping[str, str | None] | None = None) -> Reply:
        """GET from the private port."""
        return self.request("GET", path, None, headers, base=self.reports_url)

    def report(self, name: str, **parameters: object) -> Any:
        """A report's JSON. A parameter that is a word of Python takes an underscore: `from_`."""
        query = urlencode({key.rstrip("_"): value for key, value in parameters.items()})
        reply = self.get_private(f"/api/v1/reports/{name}?{query}")
        assert reply.status == 200, reply
        return reply.body

    # -- commands and files -------------------------------------------------------------------

    def command(
        self, *arguments: str, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a beaconlog command with the same settings; its exit code, stdout and stderr."""
        return run_command(self._env, self._cwd, arguments, timeout_s, python=self._python)

    def import_directory(self, tenants: str = TENANTS_CSV, products: str = PRODUCTS_CSV) -> None:
        """Import these CSV texts into the directory."""
        paths = [self._cwd / "tenants.csv", self._cwd / "products.csv"]
        for path, text in zip(paths, (tenants, products), strict=True):
            path.write_text(text)
        done = self.command("directory", "import", *map(str, paths))
        assert done.returncode == 0, done.stderr

    def sealed(self, kind: str = "event") -> list[dict[str, Any]]:
        """The records of one kind in the sealed segments, in no order."""
        return sealed_records(self.data, kind)


def environment(code: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of a process that runs the source tree `code` with these settings alone."""
    inherited = {
        name: text for name, text in os.environ.items() if not name.startswith("BEACONLOG_")
    }
    given = {f"BEACONLOG_{key.upper()}": str(value) for key, value in settings.items()}
    return {**inherited, **given, "PYTHONPATH": str(code)}


def run_command(
    env: Mapping[str, str],
    cwd: Path,
    arguments: tuple[str, ...],
    timeout_s: float = 120.0,
    *,
    python: str | Path = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run `beaconlog ARGUMENTS` to its end."""
    return subprocess.run(
        [python, "-m", "service", *arguments],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def sealed_records(data: Path, kind: str = "event") -> list[dict[str, Any]]:
    """The records of one kind in every sealed segment under a data folder."""
    segments = [str(path) for path in sorted((data / "log").glob("*/*.ndjson"))]
    if not segments:
        return []
    with duckdb.connect() as con:
        query = "SELECT json FROM read_ndjson_objects($1) WHERE json->>'kind' = $2"
        return [json.loads(line) for (line,) in con.execute(query, [segments, kind]).fetchall()]


GROUP, SESSION = 2, 3
"""Their places among the fields of /proc/<pid>/stat behind the name."""


def group(leader: int, kind: int = GROUP) -> list[int]:
    """The living processes of a process group or session, zombies left out."""
    return [
        pid
        for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        if is_member(pid, leader, kind)
    ]


def is_member(pid: int, leader: int, kind: int = GROUP) -> bool:
    """Whether the process lives and is of that process group or session."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != "Z" and int(fields[kind]) == leader


def _kill(pid: int) -> None:
    signal_to(pid, signal.SIGKILL)


def signal_to(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, unless it has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class StartService(Protocol):
    """Starts a service on the test's data folder; `name` gives it another one."""

    def __call__(
        self, *, role: str = "serve", name: str = "data", directory: bool = True, **settings: object
    ) -> Service: ...
