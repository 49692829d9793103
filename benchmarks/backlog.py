"""A data folder with a backlog of sealed segments of user-like events, by the log's own writer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path

from benchmarks import users
from benchmarks.rounds import tell
from etl.channels.rules import Rules, Signs
from etl.layout import Layout
from etl.log import claiming
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position

START = datetime(2026, 11, 1, tzinfo=UTC)
BATCH_LINES = 500
_DISK_FREE_BYTES_MIN = 1 << 30
_AGENTS = (
    ("phone", "Chrome", "Android"),
    ("phone", "Facebook", "Android"),
    ("phone", "Safari", "iOS"),
    ("desktop", "Chrome", "Windows"),
)
"""Devices, browsers and systems, as `service.collector.context` names them."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Which events a backlog has. It has `series` series, which take turns."""

    events: int
    start: datetime = START
    lasts: timedelta = timedelta(days=1)
    shops: int = users.SHOPS
    series: int = 2
    segment_bytes_max: int = 64 << 20


def fill(data: Path, backlog: Backlog) -> None:
    """Write the events, sealed at the largest size and at the end, in new series."""
    layout = Layout(data)
    layout.prepare()
    claims = [
        claiming.claim(layout.log, layout.log_lock, host="bench", slot=slot, now_us=0)
        for slot in range(backlog.series)
    ]
    writers = [
        SegmentWriter(
            claim.folder,
            Position(),
            segment_bytes_max=backlog.segment_bytes_max,
            disk_free_bytes_min=_DISK_FREE_BYTES_MIN,
        )
        for claim in claims
    ]
    written = 0
    records = _records(backlog)
    while batch := list(islice(records, BATCH_LINES)):
        writer = writers[written // BATCH_LINES % len(writers)]
        writer.commit(batch)
        written += len(batch)
        if writer.is_full:
            writer.seal()
            tell(f"  {written} of {backlog.events} events written")
    for claim, writer in zip(claims, writers, strict=True):
        writer.seal()
        claim.release()


def _records(backlog: Backlog) -> Iterator[bytes]:
    chance = random.Random(f"{backlog.events} {backlog.start}")
    step = backlog.lasts / backlog.events
    listed = users.events(chance, shops=backlog.shops)
    for number, event in enumerate(islice(listed, backlog.events)):
        yield record(event, backlog.start + (number + chance.random()) * step)


def record(event: users.Event, received: datetime) -> bytes:
    """Return the log's record of an event."""
    late_ms = event.visit.behind_ms + event.travel_ms
    occurred = received - timedelta(milliseconds=late_ms)
    fields: dict[str, object] = {
        "kind": "event",
        "event_id": event.event_id,
        "received_at": _iso(received),
        "occurred_at": _iso(occurred)[:-4] + "000Z",  # browsers send milliseconds
        "tenant_id": event.visit.shop,
        "endpoint": users.ENDPOINTS[event.type],
        "type": event.type,
    }
    if event.product_id is not None:
        fields["product_id"] = event.product_id
        fields["metadata"] = {"product_id": event.product_id}
    key = f"id:{event.event_id}"
    if sale := event.sale:
        fields |= {"transaction_id": sale.transaction_id, "value": sale.value}
        fields["currency"] = users.CURRENCY
        key = f"{'stx' if sale.is_signed else 'tx'}:{sale.transaction_id}"
    fields |= {"visitor_id": event.visit.visitor_id, "bot": False, "dedupe_key": key}
    fields |= _context(event)
    if sale and sale.is_signed:
        fields["signed"] = True
    return json.dumps(fields, separators=(",", ":")).encode()


def _context(event: users.Event) -> dict[str, object]:
    """Return the fields that the collector stores of the context and the browser of an event."""
    visit, rules = event.visit, _rules()
    signs = dict(visit.origin.campaign)
    if visit.origin.referrer:
        signs["referrer"] = visit.origin.referrer.removeprefix("www.")
    agent = dict(
        zip(("device", "browser", "os"), _AGENTS[visit.browser % len(_AGENTS)], strict=True)
    )
    channel = {"channel": rules.channel(Signs(**signs)), "channel_rules": rules.version}
    return {"path": event.path, **signs, **channel, **agent}


@cache
def _rules() -> Rules:
    return Rules.load()


def log_bytes(data: Path) -> int:
    """Return the bytes of the sealed segments of a data folder."""
    return sum(path.stat().st_size for path in (data / "log").glob("*/*.ndjson"))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
