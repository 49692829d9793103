"""The names of the processes of a start, in its log, its heartbeats and its metrics."""

from __future__ import annotations

WAREHOUSE = "warehouse"
SHIPPER = "shipper"
METRICS = "metrics"
NOT_COLLECTORS = frozenset({WAREHOUSE, SHIPPER, METRICS})


def collector_name(slot: int) -> str:
    """Return the name of the collector in `slot`."""
    return f"worker-{slot}"
