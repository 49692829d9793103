"""Tables of the lake with two commits' worth of events, for tests that look into their folders."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable
from log_tools import DAY_S, Shop, event, rejection

from etl.lake import delta_log

LOG = delta_log.FOLDER
FIRST, SECOND = "00000000000000000000.json", "00000000000000000001.json"


def folder(shop: Shop, name: str = "events") -> Path:
    return shop.layout.table(name)


def compacted(shop: Shop) -> None:
    """Compact two series with two days, for both tables."""
    shop.seal(event(0), event(1), rejection(2))
    shop.seal(event(DAY_S), series="h-w1-aa")
    shop.compact()


def held(shop: Shop) -> list[str]:
    """Return the ids of the events in the lake itself."""
    return sorted(DeltaTable(folder(shop)).to_pyarrow_table()["event_id"].to_pylist())
