"""One run of wrk, from the machine's last core."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import loads
from benchmarks.loads import Request
from benchmarks.rounds import BenchmarkFailed
from benchmarks.servers import Running

NEEDS = "" if shutil.which("wrk") else "wrk: not installed; `apt-get install wrk`"
_SCRIPT = Path(__file__).parent / "peers" / "play.lua"
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class LoadFailed(BenchmarkFailed):
    """A server did not answer every request with a success."""


@dataclass(frozen=True, slots=True)
class Load:
    """A file of requests, from `prepare`, and how wrk sends them.

    `has_one_id`: every ID of a request stands for the same UUID.
    """

    file: Path
    connections: int
    seconds: int
    has_one_id: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of a load. `cpu_us`: processor time of the server per request."""

    requests: int
    per_s: float
    p99_ms: float
    cpu_us: float


def prepare(running: Running, requests: Sequence[Request]) -> Path:
    """Write the file of a load, signed now: for five minutes the signatures are valid."""
    file = running.folder / "requests"
    file.write_bytes(loads.wire(requests, int(time.time())))
    return file


def send(running: Running, load: Load) -> Sent:
    """Send a load. Raises LoadFailed."""
    line = ["taskset", "-c", str(len(os.sched_getaffinity(0)) - 1), "wrk", "--latency"]
    line += ["--timeout", "30s", "-t1", f"-c{load.connections}", f"-d{load.seconds}s"]
    line += ["-s", str(_SCRIPT), running.url]
    environment = {"REQUESTS": str(load.file), "SAME_ID": str(int(load.has_one_id))}
    before_s = running.cpu_s()
    done = subprocess.run(
        line, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    cpu_s = running.cpu_s() - before_s
    return _parsed(running.url, done.stdout, cpu_s)


def _parsed(url: str, text: str, cpu_s: float) -> Sent:
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    requests = re.search(r"([1-9]\d*) requests in", text)
    if "Non-2xx" in text or "Socket errors" in text or not (per_s and p99 and requests):
        raise LoadFailed(f"{url} did not take every request; wrk printed:\n{text}")
    count = int(requests[1])
    return Sent(count, float(per_s[1]), float(p99[1]) * _UNITS_MS[p99[2]], 1e6 * cpu_s / count)
