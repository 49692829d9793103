"""The cost of an event's context: events with one and without one, in turn, in one process.

Microseconds of processor time per event for the steps that a context adds work to: decode and
validate the JSON, find the fields of the context, encode the line of the log. The events are those
of the 500 browsers of `benchmarks.ingest`, with their pages, campaigns, referrers and user agents.
`user agent alone` finds the device, the browser and the system of events that come without a
context. There is no database of countries. The aim is 4 µs for all of it.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import loads
from benchmarks.figures import Figure
from benchmarks.rounds import BenchmarkFailed, interleaved, markdown, tell
from benchmarks.size import Size, run_alone
from etl.channels.rules import Rules
from service.collector import record
from service.collector.context.agents import Agents
from service.collector.context.contexts import Contexts
from service.collector.context.countries import NoCountries
from service.collector.contract.body import content
from service.collector.contract.contract import Check, Contract
from service.collector.contract.rejection import Rejection
from service.collector.record import Visit

WITHOUT, AGENT, WITH = "without a context", "user agent alone", "with a context"
_VISIT = Visit(1, "2026-11-23T04:10:00.123456Z", "0123456789abcdef", bot=False)
_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Sent:
    """An event as a browser sends it, and the function that checks it."""

    check: Check
    body: bytes
    user_agent: str
    site: str | None


def sent(count: int) -> Sequence[Sent]:
    """Return events of browsers, at most loads.RING."""
    contract = Contract.load()
    checks = {
        "interactions": contract.interaction,
        "track": contract.track,
        "conversion": contract.conversion,
    }
    chance = random.Random(1)

    def event(request: loads.Request) -> Sent:
        headers = dict(request.headers)
        new_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        body = request.body.replace(loads.ID, new_id).encode()
        check = checks[request.path.rpartition("/")[2]]
        return Sent(check, body, headers["User-Agent"], headers.get("Origin"))

    return [event(request) for request in loads.browsers_kept()[:count]]


def without_context(event: Sent) -> Sent:
    """Return the same event as a client sends it that has no context."""
    fields = json.loads(event.body)
    del fields["context"]
    body = json.dumps(fields, separators=(",", ":")).encode()
    return Sent(event.check, body, event.user_agent, event.site)


def line(event: Sent, contexts: Contexts | None) -> bytes:
    """Return the line of an event, without fields of a context if `contexts` is None."""
    payload = event.check(content(event.body), event.body)
    if isinstance(payload, Rejection):
        raise BenchmarkFailed(f"an event is rejected: {payload.slug}")
    found = _NOTHING
    if contexts is not None:
        found = contexts.fields(payload.context, None, event.user_agent, event.site)
    return record.event(
        payload,
        _VISIT,
        endpoint="interactions",
        event_id=payload.event_id or "",
        occurred_us=payload.timestamp_us,
        context=found,
    )


def cost_us(events: Sequence[Sent], contexts: Contexts | None) -> float:
    """Return the processor time per event."""
    began_s = time.process_time()
    for event in events:
        line(event, contexts)
    return 1e6 * (time.process_time() - began_s) / len(events)


def run(size: Size) -> str:
    """Return the table: a row per kind of events."""
    tell("contexts")
    contexts = Contexts(Agents(Rules.load()), NoCountries())
    whole = sent(size.events(loads.RING))
    bare = [without_context(event) for event in whole]
    measured = interleaved(
        {
            WITHOUT: partial(cost_us, bare, None),
            AGENT: partial(cost_us, bare, contexts),
            WITH: partial(cost_us, whole, contexts),
        },
        size.rounds,
    )
    least = measured.results[WITHOUT].rounds
    rows = []
    for name, result in measured.results.items():
        more = [mine - other for mine, other in zip(result.rounds, least, strict=True)]
        added = "" if name == WITHOUT else Figure.of(more).text(2)
        rows.append((name, result.figure.text(2), added))
    heads = ("", "µs per event", "µs more than without")
    return f"## Context of an event\n\n{markdown(heads, rows)}{measured.note()}"


if __name__ == "__main__":
    run_alone(__doc__, run)
