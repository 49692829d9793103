"""PostgreSQL and MariaDB for tests: a server of one's own, which may hang, be killed and come back.

Each server has a folder and an address of the loopback network of its own, so that tests beside one
another share nothing. Nothing is synced. PostgreSQL refuses to run as root: root runs it as nobody.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

DEADLINE_S = 120.0
_POLL_S = 0.05
_NUMBERS = count()
_AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


class Server:
    """A database server. Its certificate signs itself, and is of its address.

    `prefix` is put before its command line; `host` is an address of the machine that it runs on.
    """

    port: int

    def __init__(self, host: str | None = None, *, prefix: tuple[str, ...] = ()) -> None:
        self.folder = Path(mkdtemp(prefix="beaconlog-server-"))
        self.log = self.folder / "log"
        self.host = host or _address_of_its_own()
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._make_certificate()
        self.create()
        self.start()

    @property
    def url(self) -> str:
        """The URL for the administrator, who needs no password."""
        raise NotImplementedError

    def create(self) -> None:
        """Create the server's files."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Run the server and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        self._until(self.answers)

    def answers(self) -> bool:
        """Return whether a client is served."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL every process of the server, and wait until all have ended.

        PostgreSQL does not start while a process of before has its shared memory.
        """
        processes, deadline_s = self._processes(), time.monotonic() + DEADLINE_S
        self._signal(signal.SIGKILL)
        if self._process:
            self._process.wait(DEADLINE_S)
        while not all(map(_has_ended, processes)):
            assert time.monotonic() < deadline_s, f"a process of {processes} does not end"
            time.sleep(_POLL_S)

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Stop every process of the server: its kernel takes connections, and nobody answers."""
        for _ in range(2):  # once more for a child that was forked meanwhile
            self._until(self._is_stopped)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Leave nothing behind."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_certificate(self) -> None:
        self.certificate, self.key = self.folder / "server.crt", self.folder / "server.key"
        made = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=beaconlog test",
            "-addext", f"subjectAltName=IP:{self.host}",
            "-keyout", str(self.key), "-out", str(self.certificate),
        ]  # fmt: skip
        subprocess.run(made, check=True, capture_output=True)

    def _until(self, holds: Callable[[], bool]) -> None:
        """Poll while the server runs."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not holds():
            ended = self._process is None or self._process.poll() is not None
            assert not ended, self.log.read_text()
            assert time.monotonic() < deadline_s, self.log.read_text()
            time.sleep(_POLL_S)

    def _is_stopped(self) -> bool:
        self._signal(signal.SIGSTOP)
        return all(map(_is_stopped, self._processes()))

    def _processes(self) -> list[int]:
        if self._process is None or self._process.poll() is not None:
            return []
        return [self._process.pid, *_children(self._process.pid)]

    def _signal(self, number: int) -> None:
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class PostgreSQL(Server):
    """PostgreSQL."""

    port = 5432

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@{self.host}:{self.port}/postgres"

    def create(self) -> None:
        self._as = _AS_NOBODY if os.getuid() == 0 else ()
        if self._as:
            for path in (self.folder, self.key, self.certificate):
                shutil.chown(path, "nobody", "nogroup")
        self._bin = max(Path("/usr/lib/postgresql").glob("*/bin"))
        made = [
            *self._as, str(self._bin / "initdb"), "-D", str(self.folder / "data"), "-U", "postgres",
            "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions",
        ]  # fmt: skip
        subprocess.run(made, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        (self.folder / "data" / "pg_hba.conf").write_text("host all all all trust\n")

    def command(self) -> Sequence[str]:
        options = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 30,
            "autovacuum": "off",
            "ssl": "on",
            "ssl_cert_file": self.certificate,
            "ssl_key_file": self.key,
        }
        chosen = [f"--{name}={value}" for name, value in options.items()]
        return [*self._as, str(self._bin / "postgres"), "-D", str(self.folder / "data"), *chosen]

    def answers(self) -> bool:
        asked = [str(self._bin / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0


class MariaDB(Server):
    """MariaDB."""

    port = 3306

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@{self.host}:{self.port}/mysql"

    def create(self) -> None:
        made = [
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--user=root",
            "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
            "--innodb-log-file-size=8M", "--innodb-flush-method=nosync",
        ]  # fmt: skip
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self) -> Sequence[str]:
        return [
            "mariadbd", "--no-defaults", f"--datadir={self.folder}/data", "--user=root",
            f"--bind-address={self.host}", f"--port={self.port}", f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid", "--skip-name-resolve",
            f"--ssl-cert={self.certificate}", f"--ssl-key={self.key}",
            "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
            "--innodb-flush-method=nosync", "--key-buffer-size=1M", "--performance-schema=off",
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=DEADLINE_S) as client:
                return bool(client.recv(1))
        except OSError:
            return False


def _address_of_its_own() -> str:
    pid = os.getpid()
    return f"127.{64 + next(_NUMBERS) % 64}.{pid >> 8 & 255}.{pid & 255}"


def _children(pid: int) -> list[int]:
    """The processes that a process started and that still live."""
    with suppress(FileNotFoundError):
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _is_stopped(pid: int) -> bool:
    """Whether every thread of a process is stopped, which a signal does in its own time."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in _threads(pid)]
    return set(states) <= {"T", "Z"}


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to notice."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*/stat"))
