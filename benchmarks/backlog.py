"""A data folder with a backlog of sealed segments, written by the log's own writer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
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
TYPES = ("view",) * 14 + ("whatsapp_click",) * 3 + ("cart_add", "call_click", "maps_click")


def fill(data: Path, events: int, *, days: float = 1.0, tenants: int = 200) -> None:
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
    step = timedelta(days=days) / events
    for number, first in enumerate(range(0, events, BATCH_LINES)):
        last = min(first + BATCH_LINES, events)
        writer = writers[number % SERIES]
        writer.commit([_event(i, START + i * step, chance, tenants) for i in range(first, last)])
        if writer.is_full:
            writer.seal()
            tell(f"  {last} of {events} events written")
    for claim, writer in zip(claims, writers, strict=True):
        writer.seal()
        claim.release()


def _event(number: int, moment: datetime, chance: random.Random, tenants: int) -> bytes:
    at = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    tenant = int(tenants * chance.random() ** 2) + 1  # some shops see much more than others
    product = 1 + chance.randrange(300)
    has_id = number % 5 == 0  # a client's own id: a key that may be a duplicate
    event_id = str(UUID(int=(0x01A2 << 112) | (7 << 76) | (2 << 62) | number))
    key = f',"dedupe_key":"id:{event_id}"' if has_id else ""
    return (
        f'{{"kind":"event","event_id":"{event_id}","received_at":"{at}","occurred_at":"{at}",'
        f'"tenant_id":{tenant},"endpoint":"interactions","type":"{chance.choice(TYPES)}",'
        f'"product_id":{product},"visitor_id":"{chance.getrandbits(40):016x}","bot":false,'
        f'"metadata":{{"product_id":{product},"source":"home"}}{key}}}'
    ).encode()
