"""Freshness: from the response to an event until a report shows it, while others pour in.

One service with a worker and its warehouse, which compacts every 10 s. Ten markers per second go to
a shop of their own, and its report `recent` is requested again and again. Load, service and reports
share the cores.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Sequence
from io import BufferedReader
from statistics import quantiles
from uuid import UUID, uuid4

from benchmarks import lakes, loads
from benchmarks.candidates import beaconlog
from benchmarks.rounds import BenchmarkFailed, markdown, tell
from benchmarks.servers import Server, free_port, running
from benchmarks.size import Size, run_alone

EVENTS_PER_S = 5_000
FULL_SECONDS = 60
QUICK_SECONDS = 10
_TICK_S = 0.02
_MARKER_S = 0.1
_CONNECTIONS = 8
_PIPELINED_MAX = 60
_SHOWN = 500
_PATH = "/api/v1/interactions"


class MarkerLost(BenchmarkFailed):
    """A report never showed an event that the service had accepted."""


def run(size: Size) -> str:
    """Return the table: one row."""
    seconds = FULL_SECONDS if size.scale >= 1 else QUICK_SECONDS
    tell(f"freshness for {seconds} s")
    reports_port = free_port()
    ring = [request.wire(int(time.time())) for request in loads.browsers_kept()]
    server = Server(
        "beaconlog", beaconlog("serve", reports_port=reports_port, compact_interval_s=10), cpus=2
    )
    ages_s: list[float] = []
    asked_ms: list[float] = []
    with running(server) as at_work:
        port = int(at_work.url.rpartition(":")[2])
        ends_s = time.monotonic() + seconds
        sent = [0] * _CONNECTIONS
        load = [
            threading.Thread(target=_pour, args=(port, ring, ends_s, sent, index))
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
        raise MarkerLost(f"{len(acked) - len(ages_s)} of {len(acked)} markers were never seen")
    cuts = quantiles(ages_s, n=100)
    row = ["", f"{sum(sent) / seconds:,.0f}", f"{len(ages_s)}"]
    row += [f"{cuts[at - 1]:.2f}" for at in (50, 95, 99)]
    row.append(f"{quantiles(asked_ms, n=100)[49]:.0f}")
    heads = ["", "events/s", "markers", "median s", "95th s", "99th s", "median ms of a report"]
    return (
        f"## Freshness at {EVENTS_PER_S:,} events/s\n\nSeconds from an event's response to the "
        "first report that shows it, with a compaction every 10 s.\n\n"
    ) + markdown(heads, [row])


def _request(body: bytes) -> bytes:
    head = f"POST {_PATH} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _pour(port: int, ring: Sequence[str], ends_s: float, sent: list[int], index: int) -> None:
    """Send this connection's share, a few pipelined requests per tick; late ticks catch up."""
    chance = random.Random(index)
    share_per_s = EVENTS_PER_S / _CONNECTIONS
    began_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as peer:
        stream = peer.makefile("rb")
        while (now_s := time.monotonic()) < ends_s:
            due = int((now_s - began_s) * share_per_s) - sent[index]
            if due <= 0:
                time.sleep(_TICK_S)
                continue
            due = min(due, _PIPELINED_MAX)
            peer.sendall("".join(_with_id(chance, ring) for _ in range(due)).encode())
            for _ in range(due):
                _read_response(stream)
            sent[index] += due


def _with_id(chance: random.Random, ring: Sequence[str]) -> str:
    event_id = str(UUID(int=chance.getrandbits(128), version=4))
    return ring[chance.randrange(len(ring))].replace(loads.ID, event_id)


def _read_response(stream: BufferedReader) -> int:
    status, length = 0, 0
    for line in iter(stream.readline, b"\r\n"):
        if not status:
            status = int(line.split()[1])
        elif line.startswith(b"Content-Length"):
            length = int(line.partition(b":")[2])
    stream.read(length)
    return status


def _mark(port: int, ends_s: float, acked: dict[str, float]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as peer:
        stream = peer.makefile("rb")
        while time.monotonic() < ends_s:
            name = str(uuid4())
            body = {"tenant_id": lakes.SHOP, "type": "call_click", "event_id": name}
            peer.sendall(_request(json.dumps(body).encode()))
            if _read_response(stream) == 201:
                acked[name] = time.monotonic()
            time.sleep(_MARKER_S)


def _watch(
    port: int, acked: dict[str, float], ends_s: float, ages_s: list[float], asked_ms: list[float]
) -> None:
    seen: set[str] = set()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    path = f"/api/v1/reports/recent?tenant={lakes.SHOP}&limit={_SHOWN}"
    while time.monotonic() < ends_s:
        began_s = time.monotonic()
        connection.request("GET", path)
        response = connection.getresponse()
        answer = json.loads(response.read())
        now_s = time.monotonic()
        if response.status != 200:
            raise BenchmarkFailed(f"a report was refused: {answer}")
        asked_ms.append(1000 * (now_s - began_s))
        for name in {row["event_id"] for row in answer["rows"]} - seen:
            if name in acked:
                ages_s.append(now_s - acked[name])
                seen.add(name)
    tell(f"  {len(asked_ms)} reports")


if __name__ == "__main__":
    run_alone(__doc__, run)
