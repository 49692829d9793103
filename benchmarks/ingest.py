"""Events per second: beaconlog beside the programs that people would use instead, in turn.

One event per request. The load has the machine's last core, the server the first (two workers:
both). Every response must be a success, and beaconlog and FastAPI must have stored every event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks import browsers, candidates, loads, pages, wrk
from benchmarks.loads import Request
from benchmarks.rounds import Measured, interleaved, markdown, tell
from benchmarks.servers import Server, running
from benchmarks.size import Size, run_alone
from benchmarks.wrk import Load, Sent

WARM_UP_S = 1
YES_NO = {True: "yes", False: "no"}
_SOME = (
    candidates.BEACONLOG,
    candidates.COMPILED,
    candidates.FASTAPI,
    candidates.FASTIFY,
)
HEADS = (
    "",
    "validates",
    "on disk before it answers",
    "events/s",
    "ratio",
    "p99 ms",
    "CPU µs per event",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A load, and the servers that get it."""

    title: str
    requests: Callable[[], Sequence[Request]]
    connections: int
    servers: Sequence[Server]


CASES = (
    Case("Ingest, 64 connections", loads.one_client, 64, candidates.EVERY),
    Case("Ingest, 256 connections", loads.one_client, 256, candidates.EVERY),
    Case("Ingest, no request head twice, 256 connections", loads.new_heads, 256, _SOME),
    Case(
        f"Ingest, {browsers.COUNT} browsers, 256 connections",
        loads.browsers_kept,
        256,
        (*_SOME, candidates.TWO_WORKERS),
    ),
    Case("Ingest, one request per connection, 64 at once", loads.browsers_short, 64, _SOME),
)


def run(size: Size) -> str:
    """Return a table per load, with a row per server."""
    intro = (
        "Events of users, one per request: all three endpoints, 1 % of them signed sales, a new "
        f"random event_id in each. {pages.describe()} Ratios are to beaconlog.\n"
    )
    if wrk.NEEDS:
        return f"## Ingest\n\n{wrk.NEEDS}\n"
    absent = "".join(f"\n{line}.\n" for line in candidates.missing())
    tables = [f"## {case.title}\n\n{_table(case, size)}" for case in CASES]
    return "\n".join([intro, *tables]) + absent


def _table(case: Case, size: Size) -> str:
    tell(case.title)
    present = [server for server in case.servers if server.is_there()]
    sent: dict[str, list[Sent]] = {server.name: [] for server in present}

    def measure(server: Server) -> float:
        sent[server.name].append(once(server, case, size.seconds))
        return sent[server.name][-1].per_s

    measured = interleaved(
        {server.name: partial(measure, server) for server in present},
        size.rounds,
        warm_up_rounds=0,  # each server is warmed up when it has started
    )
    rows = [_row(server, measured, sent[server.name]) for server in present]
    return markdown(HEADS, rows) + measured.note()


def once(server: Server, case: Case, seconds: int) -> Sent:
    """Start a server, warm it up, and return its result. Raises LoadFailed, EventLost."""
    requests = [server.adapt(request) for request in case.requests()]
    with running(server) as at_work:
        file = wrk.prepare(at_work, requests)
        warm_up = wrk.send(at_work, Load(file, case.connections, WARM_UP_S))
        result = wrk.send(at_work, Load(file, case.connections, seconds))
        candidates.check_stored(server, at_work, warm_up.requests + result.requests)
    return result


def _row(server: Server, measured: Measured, sent: Sequence[Sent]) -> list[str]:
    first, own = next(iter(measured.results.values())), measured.results[server.name]
    return [
        server.name,
        YES_NO[server.validates],
        YES_NO[server.durable],
        own.figure.text(),
        own.ratio_to(first).text(2),
        f"{median(one.p99_ms for one in sent):.1f}",
        f"{median(one.cpu_us for one in sent):.1f}",
    ]


if __name__ == "__main__":
    run_alone(__doc__, run)
