"""Batches: events per second, many per request, beside batch endpoints of other servers.

500 events per request, of all three endpoints, from a shop's server. The load has the machine's
last core, the server the first. The others are programs like PostHog's capture (FastAPI) and
RudderStack's gateway (Fastify): each event is validated, and none is synced.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks import candidates, loads, wrk
from benchmarks.ingest import WARM_UP_S, YES_NO
from benchmarks.rounds import interleaved, markdown, tell
from benchmarks.servers import Server, running
from benchmarks.size import Size, run_alone
from benchmarks.wrk import Load, Sent

CONNECTIONS = 16
_NAMES = {
    candidates.BEACONLOG: "beaconlog",
    candidates.COMPILED: "beaconlog, compiled",
    candidates.FASTAPI: "FastAPI + uvicorn, like PostHog",
    candidates.FASTIFY: "Fastify, like RudderStack",
}
_HEADS = ("", "on disk before it answers", "events/s", "ratio", "p99 ms", "CPU µs per event")


def run(size: Size) -> str:
    """Return the table: a row per server."""
    title = f"## Batches of {loads.BATCH_EVENTS}, {CONNECTIONS} connections\n\n"
    if wrk.NEEDS:
        return f"{title}{wrk.NEEDS}\n"
    tell("batches")
    present = {server: name for server, name in _NAMES.items() if server.is_there()}
    sent: dict[str, list[Sent]] = {name: [] for name in present.values()}

    def measure(server: Server, name: str) -> float:
        sent[name].append(_once(server, size.seconds))
        return sent[name][-1].per_s * loads.BATCH_EVENTS

    measured = interleaved(
        {name: partial(measure, server, name) for server, name in present.items()},
        size.rounds,
        warm_up_rounds=0,
    )
    first = next(iter(measured.results.values()))
    rows = [
        (
            name,
            YES_NO[server.durable],
            measured.results[name].figure.text(),
            measured.results[name].ratio_to(first).text(2),
            f"{median(one.p99_ms for one in sent[name]):.1f}",
            f"{median(one.cpu_us for one in sent[name]) / loads.BATCH_EVENTS:.2f}",
        )
        for server, name in present.items()
    ]
    absent = "".join(
        f"\n{name}: not installed; `{server.needs}`.\n"
        for server, name in _NAMES.items()
        if server not in present
    )
    return title + markdown(_HEADS, rows) + measured.note() + absent


def _once(server: Server, seconds: int) -> Sent:
    with running(server) as at_work:
        file = wrk.prepare(at_work, loads.batches())
        warm_up = wrk.send(at_work, Load(file, CONNECTIONS, WARM_UP_S, has_one_id=False))
        result = wrk.send(at_work, Load(file, CONNECTIONS, seconds, has_one_id=False))
        answered = (warm_up.requests + result.requests) * loads.BATCH_EVENTS
        candidates.check_stored(server, at_work, answered)
    return result


if __name__ == "__main__":
    run_alone(__doc__, run)
