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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

from benchmarks.rounds import Result, interleaved, markdown, tell
from benchmarks.servers import SERVERS, Server, running

CONNECTIONS = (64, 256)
ROUNDS = 5
SECONDS = 5
_SCRIPT = Path(__file__).parent / "peers" / "post.lua"
_YES_NO = {True: "yes", False: "no"}
Measured: TypeAlias = tuple[list[Result], dict[str, list[tuple[float, float]]]]
"""Events a second, and beside them p99 in ms and processor time in µs an event, by round."""

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of wrk."""

    events_per_s: float
    p99_ms: float
    events: int


def run(rounds: int, seconds: int) -> str:
    """The table: a row a server."""
    if not shutil.which("wrk"):
        return "wrk is missing: apt-get install wrk\n"
    present = [server for server in SERVERS if server.is_there()]
    missing = [server for server in SERVERS if not server.is_there()]
    measured = {count: _measured(present, count, rounds, seconds) for count in CONNECTIONS}
    heads = ["", "validates", "on disk before it answers"]
    for count in CONNECTIONS:
        heads += [f"events/s at {count}", "ratio", "p99 ms", "CPU µs an event"]
    rows = [
        [server.name, *(_YES_NO[does] for does in (server.validates, server.durable))]
        + [cell for count in CONNECTIONS for cell in _cells(measured[count], server.name)]
        for server in present
    ]
    absent = "".join(f"\n{server.name}: not installed; `{server.needs}`.\n" for server in missing)
    return markdown(heads, rows) + absent


def _measured(servers: list[Server], connections: int, rounds: int, seconds: int) -> Measured:
    tell(f"ingest with {connections} connections")
    beside: dict[str, list[tuple[float, float]]] = {}

    def measure(server: Server) -> float:
        with running(server) as at_work:
            before_s = at_work.cpu_s()
            asked = {"BODY": server.body} | ({"NEW_HEADS": "1"} if server.is_sent_new_heads else {})
            load = wrk(at_work.url, asked, connections, seconds)
            cpu_us = 1e6 * (at_work.cpu_s() - before_s) / load.events
        beside.setdefault(server.name, []).append((load.p99_ms, cpu_us))
        return load.events_per_s

    return interleaved({one.name: partial(measure, one) for one in servers}, rounds), beside


def _cells(measured: Measured, name: str) -> list[str]:
    results, beside = measured
    result = next(one for one in results if one.name == name)
    p99_ms, cpu_us = (median(values) for values in zip(*beside[name][1:], strict=True))
    return [
        f"{result.median:,.0f}",
        f"{result.ratio_to(results[0]):.2f}",
        f"{p99_ms:.1f}",
        f"{cpu_us:.0f}",
    ]


def wrk(url: str, asked: Mapping[str, str], connections: int, seconds: int) -> Load:
    """One run of wrk, on the machine's last core. `asked`: what peers/post.lua reads."""
    line = [
        "taskset",
        "-c",
        str(len(os.sched_getaffinity(0)) - 1),
        "wrk",
        "--latency",
        "--timeout",
        "30s",
    ]
    line += ["-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT), url]
    done = subprocess.run(
        line, env=os.environ | dict(asked), capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{url} did not take every event:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    events = re.search(r"(\d+) requests in", done.stdout)
    if not rate or not p99 or not events:
        raise RuntimeError(f"wrk said:\n{done.stdout}")
    return Load(float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]], int(events[1]))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    print(run(*(given + [ROUNDS, SECONDS][len(given) :])))
