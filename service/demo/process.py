"""The service that the demo runs, as a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0


class DemoError(Exception):
    """The demo cannot continue, for the reason of the message, one line."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the collector and the dashboard of the service are."""

    public: str
    dashboard: str


def command(arguments: list[str]) -> list[str]:
    """Return the command line of one of the product's commands."""
    return [sys.executable, "-P", "-m", "service", *arguments]


@contextmanager
def service(folder: Path, config: Path) -> Iterator[Urls]:
    """Run the service until the end of the block. Raises DemoError if it does not start."""
    log = folder / "service.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command(["serve", "--config", str(config), "--data", str(folder)]),
            stdout=stream,
            stderr=stream,
        )
    try:
        yield _urls(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _urls(process: subprocess.Popen[bytes], log: Path) -> Urls:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        found = dict(re.findall(r"port=(public|reports) url=(\S+)", log.read_text()))
        if len(found) == 2:
            return Urls(found["public"], found["reports"])
        time.sleep(0.05)
    raise DemoError(f"the service did not start; see {log}")
