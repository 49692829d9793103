"""The steps on a log that the tests of claims, recovery and the safe time share."""

import os
from pathlib import Path

from log_tools import START, Shop, event

from etl import durable
from etl.log import claiming, recovery, safe_time, segments
from etl.log.claiming import Claim
from etl.log.format import Line, chain_seed, scan
from etl.log.recovery import Recovered
from etl.log.safe_time import Settled
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position

SERIES = "h-w0-aa"
STEPS = [
    (os, "open"),
    (os, "write"),
    (os, "fsync"),
    (os, "ftruncate"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (durable, "write_file"),
]


def left_open(shop: Shop, *sizes: int, series: str = SERIES) -> Path:
    """An open segment of batches of these sizes, whose writer is gone."""
    writer = shop.writer(series)
    sealed = shop.sealed(series)
    number = sealed[-1].number + 1 if sealed else 1
    for index, size in enumerate(sizes):
        writer.commit([event(100 * number + 10 * index + line) for line in range(size)])
    os.close(writer._fd)
    return shop.folder(series) / segments.open_name(number)


def recover(shop: Shop) -> list[Recovered]:
    return recovery.recover_orphans(shop.layout.log, shop.layout.log_lock)


def claim(shop: Shop, slot: int = 0, host: str = "h", now_us: int = 0) -> Claim:
    layout = shop.layout
    return claiming.claim(layout.log, layout.log_lock, host=host, slot=slot, now_us=now_us)


def writer_of(held: Claim) -> SegmentWriter:
    return SegmentWriter(held.folder, Position(), segment_bytes_max=1 << 20, disk_free_bytes_min=0)


def us_at(after_s: float) -> int:
    """The time `after_s` seconds after START, as stamps hold it."""
    return round((START.timestamp() + after_s) * 1_000_000)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".tmp"}


def settle(shop: Shop) -> Settled:
    return safe_time.settle(shop.layout.log, shop.layout.log_lock)


def lines_of(path: Path, number: int = 1, series: str = SERIES) -> list[Line]:
    items = list(scan(path.read_bytes(), chain_seed(series, number)))
    assert all(isinstance(item, Line) for item in items)
    return items
