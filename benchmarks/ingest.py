"""Events a second: beaconlog beside what people would pick instead, in turn, in one run.

`python -m benchmarks.ingest [ROUNDS] [SECONDS]`. A body of 127 bytes by wrk, from one core; the
server has another one (with two workers, both). Every answer must be a success.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.rounds import Result, interleaved, markdown, tell
from benchmarks.servers import SERVERS, Server, running

CONNECTIONS = (64, 256)
ROUNDS = 5
SECONDS = 5
_SCRIPT = Path(__file__).parent / "peers" / "post.lua"
_YES_NO = {True: "yes", False: "no"}
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk told."""

    events_per_s: float
    p99_ms: float


def run(rounds: int, seconds: int) -> str:
    """The table: a row a server."""
    if not shutil.which("wrk"):
        return "wrk is missing: apt-get install wrk\n"
    present = [server for server in SERVERS if server.is_there()]
    missing = [server for server in SERVERS if not server.is_there()]
    measured = {count: _measured(present, count, rounds, seconds) for count in CONNECTIONS}
    heads = ["", "validates", "on disk before it answers"]
    for count in CONNECTIONS:
        heads += [f"events/s at {count}", "ratio", "p99 ms"]
    rows = [
        [server.name, *(_YES_NO[does] for does in (server.validates, server.durable))]
        + [cell for count in CONNECTIONS for cell in _cells(measured[count], server.name)]
        for server in present
    ]
    absent = "".join(f"\n{server.name}: not installed; `{server.needs}`.\n" for server in missing)
    return markdown(heads, rows) + absent


def _measured(
    servers: list[Server], connections: int, rounds: int, seconds: int
) -> tuple[list[Result], dict[str, list[float]]]:
    tell(f"ingest with {connections} connections")
    p99_ms: dict[str, list[float]] = {}

    def measure(server: Server) -> float:
        with running(server) as url:
            load = wrk(url, server.body, connections, seconds)
        p99_ms.setdefault(server.name, []).append(load.p99_ms)
        return load.events_per_s

    return interleaved({one.name: partial(measure, one) for one in servers}, rounds), p99_ms


def _cells(measured: tuple[list[Result], dict[str, list[float]]], name: str) -> list[str]:
    results, p99_ms = measured
    result = next(one for one in results if one.name == name)
    p99 = sorted(p99_ms[name][1:])
    return [
        f"{result.median:,.0f}",
        f"{result.ratio_to(results[0]):.2f}",
        f"{p99[len(p99) // 2]:.1f}",
    ]


def wrk(url: str, body: str, connections: int, seconds: int) -> Load:
    """One run of wrk, on the machine's last core."""
    line = ["taskset", "-c", str(len(os.sched_getaffinity(0)) - 1), "wrk", "--latency"]
    line += ["-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT), url]
    done = subprocess.run(
        line, env=os.environ | {"BODY": body}, capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{url} did not take every event:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if not rate or not p99:
        raise RuntimeError(f"wrk said:\n{done.stdout}")
    return Load(float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]])


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    print(run(*(given + [ROUNDS, SECONDS][len(given) :])))
