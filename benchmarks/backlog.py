"""A data folder with a backlog of sealed segments of user-like events, by the log's own writer."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from uuid import UUID

from benchmarks.rounds import tell
from etl.layout import Layout
from etl.log import claiming
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position

START = datetime(2026, 11, 1, tzinfo=UTC)
SERIES = 2
BATCH_LINES = 500
SEGMENT_BYTES_MAX = 64 << 20
TENANTS = 5_000
SALES_SHARE = 0.01
TYPES = ("view",) * 44 + ("whatsapp_click",) * 3 + ("cart_add", "call_click", "maps_click")
SOURCES = ("google", "facebook", "instagram", "newsletter", "tiktok")
REFERRERS = ("www.google.com", "l.facebook.com", "l.instagram.com", "duckduckgo.com")
VISITS_OPEN = 2_000
EVENTS_PER_VISIT = 2.9
"""As in the public set of REES46: 5,019 events of 1,755 visitors."""


def fill(data: Path, events: int, *, days: float = 1.0, tenants: int = TENANTS) -> None:
    """Events of `days` days, alternately in two series, sealed at 64 MiB."""
    layout = Layout(data)
    layout.prepare()
    claims = [
        claiming.claim(layout.log, layout.log_lock, host="bench", slot=slot, now_us=0)
        for slot in range(SERIES)
    ]
    writers = [
        SegmentWriter(
            claim.folder,
            Position(),
            segment_bytes_max=SEGMENT_BYTES_MAX,
            disk_free_bytes_min=1 << 30,
        )
        for claim in claims
    ]
    chance = random.Random(events)
    users = _events(chance, tenants)
    next(users)
    step = timedelta(days=days) / events
    for number, first in enumerate(range(0, events, BATCH_LINES)):
        last = min(first + BATCH_LINES, events)
        writer = writers[number % SERIES]
        writer.commit([users.send(START + i * step) for i in range(first, last)])
        if writer.is_full:
            writer.seal()
            tell(f"  {last} of {events} events written")
    for claim, writer in zip(claims, writers, strict=True):
        writer.seal()
        claim.release()


@dataclass(slots=True)
class _Visit:
    """A visit of a shop. `late`: how long its events travel, and how far its clock is behind."""

    tenant: int
    visitor_id: str
    source: str
    late: timedelta


def _events(chance: random.Random, tenants: int) -> Generator[bytes, datetime, None]:
    """Return the record of an event received at the moment that is sent in.

    Every event has the random id of a tracker. The k-th shop has 1/k of the first shop's visits.
    """
    shares = list(accumulate(1 / rank for rank in range(1, tenants + 1)))
    shops = range(1, tenants + 1)

    def visit() -> _Visit:
        (tenant,) = chance.choices(shops, cum_weights=shares)
        late = timedelta(milliseconds=chance.randrange(20, 3_000))
        return _Visit(tenant, f"{chance.getrandbits(64):016x}", _source(chance), late)

    visits = [visit() for _ in range(VISITS_OPEN)]
    record = b""
    while True:
        moment = yield record
        place = chance.randrange(VISITS_OPEN)
        record = _event(visits[place], moment, chance)
        if chance.random() < 1 / EVENTS_PER_VISIT:
            visits[place] = visit()


def _source(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.3:
        return f'"source":"{chance.choice(SOURCES)}",'
    return f'"referrer":"{chance.choice(REFERRERS)}",' if kind < 0.7 else ""


def _event(visit: _Visit, moment: datetime, chance: random.Random) -> bytes:
    received, occurred = _iso(moment), _iso(moment - visit.late)[:-4] + "000Z"
    product = 1 + int(300 * chance.random() ** 2)
    event_id = UUID(int=chance.getrandbits(128), version=4)
    what, key = f'"interactions","type":"{chance.choice(TYPES)}"', f"id:{event_id}"
    if chance.random() < SALES_SHARE:
        sale = f"T-{chance.getrandbits(40)}"
        what = (
            f'"conversion","type":"purchase","transaction_id":"{sale}",'
            f'"value":{chance.randrange(100, 100_000) / 100},"currency":"HNL"'
        )
        key = f"tx:{sale}"
    return (
        f'{{"kind":"event","event_id":"{event_id}","received_at":"{received}",'
        f'"occurred_at":"{occurred}","tenant_id":{visit.tenant},"endpoint":{what},'
        f'"product_id":{product},"visitor_id":"{visit.visitor_id}","bot":false,'
        f'"metadata":{{{visit.source}"path":"/producto/{product}","product_id":{product}}},'
        f'"dedupe_key":"{key}"}}'
    ).encode()


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
