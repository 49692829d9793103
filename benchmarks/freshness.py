"""Freshness: from the ack of an event to the report that shows it, while others pour in.

`python -m benchmarks.freshness [EVENTS_PER_S] [SECONDS]`. One service with a worker and its
warehouse compacting every 10 s. A marker a tenth of a second goes to a shop of its own, whose
`recent` report is asked again and again; its age when it is first seen is what is told.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles

from benchmarks.rounds import markdown, tell
from benchmarks.servers import EVENT, Command, Server, free_port, import_directory, running

EVENTS_PER_S = 5_000
SECONDS = 60
_TICK_S = 0.02
_MARKER_S = 0.1
_CONNECTIONS = 8
_SHOWN = 500
_PATH = "/api/v1/interactions"


def run(events_per_s: int, seconds: int) -> str:
    """The table: one row."""
    reports_port = free_port()
    server = Server(
        "beaconlog", validates=True, durable=True, commands=_service(reports_port), cpus=2
    )
    ages_s: list[float] = []
    asked_ms: list[float] = []
    with running(server) as at_work:
        port = int(at_work.url.rpartition(":")[2].partition("/")[0])
        ends_s = time.monotonic() + seconds
        sent = [0] * _CONNECTIONS
        load = [
            threading.Thread(target=_pour, args=(port, events_per_s, ends_s, sent, index))
            for index in range(_CONNECTIONS)
        ]
        acked: dict[str, float] = {}
        markers = threading.Thread(target=_mark, args=(port, ends_s, acked))
        for thread in (*load, markers):
            thread.start()
        _watch(reports_port, acked, ends_s + 5, ages_s, asked_ms)
        for thread in (*load, markers):
            thread.join()
    if len(ages_s) < len(acked):
        raise RuntimeError(f"{len(acked) - len(ages_s)} of {len(acked)} markers were never seen")
    cuts = quantiles(ages_s, n=100)
    row = [f"{sum(sent) / seconds:,.0f}", f"{len(ages_s)}"]
    row += [f"{cuts[at - 1]:.2f}" for at in (50, 95, 99)]
    row.append(f"{quantiles(asked_ms, n=100)[49]:.0f}")
    heads = ["events/s", "markers", "median s", "95th s", "99th s", "a report's median ms"]
    return markdown(heads, [row])


def _service(reports_port: int) -> Callable[[int, Path], Sequence[Command]]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        import_directory(folder)
        settings = {
            "BEACONLOG_HOST": "127.0.0.1",
            "BEACONLOG_PORT": port,
            "BEACONLOG_REPORTS_PORT": reports_port,
            "BEACONLOG_THROTTLE_TENANT_AWARE": "off",
            "BEACONLOG_COMPACT_INTERVAL_S": 10,
        }
        line = [sys.executable, "-m", "service", "serve", "--data", folder / "data"]
        return [Command(port, line, settings)]

    return commands


def _request(body: bytes) -> bytes:
    head = f"POST {_PATH} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _pour(port: int, events_per_s: int, ends_s: float, sent: list[int], index: int) -> None:
    """This connection's share, a pipelined handful a tick; ticks that are late are caught up."""
    one = _request(EVENT.encode())
    share_per_s = events_per_s / _CONNECTIONS
    began_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as peer:
        stream = peer.makefile("rb")
        while (now_s := time.monotonic()) < ends_s:
            due = int((now_s - began_s) * share_per_s) - sent[index]
            if due <= 0:
                time.sleep(_TICK_S)
                continue
            due = min(due, 60)
            peer.sendall(one * due)
            for _ in range(due):
                _read_answer(stream)
            sent[index] += due


def _read_answer(stream: object) -> int:
    status, length = 0, 0
    for line in iter(stream.readline, b"\r\n"):  # type: ignore[attr-defined]
        if not status:
            status = int(line.split()[1])
        elif line.startswith(b"Content-Length"):
            length = int(line.partition(b":")[2])
    stream.read(length)  # type: ignore[attr-defined]
    return status


def _mark(port: int, ends_s: float, acked: dict[str, float]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as peer:
        stream = peer.makefile("rb")
        number = 0
        while time.monotonic() < ends_s:
            name = f"00000000-0000-0000-0000-{number:012d}"
            body = {"tenant_id": 2, "type": "call_click", "event_id": name}
            peer.sendall(_request(json.dumps(body).encode()))
            if _read_answer(stream) == 201:
                acked[name] = time.monotonic()
            number += 1
            time.sleep(_MARKER_S)


def _watch(
    port: int, acked: dict[str, float], ends_s: float, ages_s: list[float], asked_ms: list[float]
) -> None:
    seen: set[str] = set()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < ends_s:
        began_s = time.monotonic()
        connection.request("GET", f"/api/v1/reports/recent?tenant=2&limit={_SHOWN}")
        rows = json.loads(connection.getresponse().read())["rows"]
        now_s = time.monotonic()
        asked_ms.append(1000 * (now_s - began_s))
        for name in {row["event_id"] for row in rows} - seen:
            if name in acked:
                ages_s.append(now_s - acked[name])
                seen.add(name)
    tell(f"  {len(asked_ms)} reports")


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    print(run(*(given + [EVENTS_PER_S, SECONDS][len(given) :])))
