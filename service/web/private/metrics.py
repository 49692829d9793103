"""The metrics of a warehouse: those of its machine, compactions, reports, the log and the lake.

Counters update as things happen; gauges of the data folder are read at each scrape.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from etl.lake.compaction import CompactionResult
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot, held_whole
from etl.lake.store import LakeStore, LocalLake
from etl.layout import Layout
from etl.log.segments import Sealed
from etl.log.store import SegmentStore
from service.web.private.machine_metrics import MachineMetrics, gauge
from service.web.private.tail_age import TailAge

_REPORT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMPACTION_BUCKETS_S = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900)


class WarehouseMetrics(MachineMetrics):
    """The metrics of one warehouse process, made as those of its machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        registry = self.registry
        self._compaction_s = Histogram(
            "beaconlog_compaction_seconds",
            "Compaction runs by result.",
            ["result"],
            buckets=_COMPACTION_BUCKETS_S,
            registry=registry,
        )
        self._compacted = Counter(
            "beaconlog_compacted_lines",
            "Log lines that became rows, by table.",
            ["table"],
            registry=registry,
        )
        self._compacted_at = Gauge(
            "beaconlog_compaction_last_success_timestamp_seconds",
            "Time of the last compaction without an error, Unix time.",
            registry=registry,
        )
        self._report_s = Histogram(
            "beaconlog_report_seconds",
            "Report requests over HTTP, by report and status.",
            ["report", "status"],
            buckets=_REPORT_BUCKETS_S,
            registry=registry,
        )
        self.tail = TailAge()
        registry.register(_Folder(self._layout, self._store, self.tail))

    def observe_tail(self, lake: LakeStore) -> None:
        """Update the age of the segments that wait for a compaction into `lake`.

        Raises LakeError, LogUnavailable.
        """
        sealed = self._store.sealed()
        self.tail.observe(_waiting(sealed, lake.newest()))

    def compacted(self, result: CompactionResult, took_s: float) -> None:
        """Count a compaction that did not fail, even if it stopped at a damaged series."""
        self._compaction_s.labels("stopped" if result.stopped else "done").observe(took_s)
        if not result.stopped:
            self._compacted_at.set(time.time())
        for table, rows in (
            ("events", result.rows),
            ("duplicates", result.duplicates),
            ("rejected", result.rejected),
        ):
            self._compacted.labels(table).inc(rows)

    def compaction_failed(self, took_s: float) -> None:
        """Count a compaction that failed."""
        self._compaction_s.labels("failed").observe(took_s)

    def reported(self, name: str, status: int, took_s: float) -> None:
        """Count a request for a report that exists."""
        self._report_s.labels(name, str(status)).observe(took_s)


class _Folder(Collector):
    """Gauges of log and lake, read at each scrape, which waits for no other machine."""

    def __init__(self, layout: Layout, store: SegmentStore, tail: TailAge) -> None:
        self._store, self._tail = store, tail
        self._local = LocalLake(layout)  # with lake_url, copies

    def collect(self) -> Iterator[Metric]:
        sealed = self._store.last_sealed()
        if sealed is None:
            yield gauge("beaconlog_log_readable", "Whether the log can be read.", 0)
            return
        yield gauge("beaconlog_log_readable", "Whether the log can be read.", 1)
        kept = sum(map(len, sealed.values()))
        yield gauge("beaconlog_log_segments", "Sealed segments in the log.", kept)
        yield from self._lake(sealed)

    def _lake(self, sealed: dict[str, list[Sealed]]) -> Iterator[Metric]:
        try:
            snapshots = self._local.newest()
            waiting = list(_waiting(sealed, snapshots))
        except LakeError:
            yield gauge("beaconlog_lake_readable", "Whether the lake can be read.", 0)
        else:
            yield gauge("beaconlog_lake_readable", "Whether the lake can be read.", 1)
            yield from _lake(snapshots)
            self._tail.observe(waiting)
            yield from _tail(waiting, self._tail.oldest_s())


def _waiting(sealed: dict[str, list[Sealed]], snapshots: list[Snapshot]) -> Iterator[Sealed]:
    for series, listed in sealed.items():
        watermark = held_whole(snapshots, series)
        yield from (item for item in listed if item.number > watermark)


def _lake(snapshots: list[Snapshot]) -> Iterator[Metric]:
    version = GaugeMetricFamily("beaconlog_lake_version", "Newest version.", labels=["table"])
    files = GaugeMetricFamily("beaconlog_lake_files", "Files of that version.", labels=["table"])
    rows = GaugeMetricFamily("beaconlog_lake_rows", "Rows of that version.", labels=["table"])
    for snapshot in snapshots:
        name = [snapshot.table.name]
        version.add_metric(name, -1 if snapshot.version is None else snapshot.version)
        files.add_metric(name, len(snapshot.files))
        rows.add_metric(name, sum(file.rows for file in snapshot.listed()))
    yield from (version, files, rows)


def _tail(waiting: list[Sealed], oldest_s: float) -> Iterator[Metric]:
    """Yield the gauges of the tail: the sealed segments that are not compacted yet."""
    lines = sum(item.lines for item in waiting)
    yield gauge("beaconlog_tail_segments", "Sealed segments that are not compacted.", len(waiting))
    yield gauge("beaconlog_tail_lines", "Lines of these segments.", lines)
    yield gauge(
        "beaconlog_tail_oldest_seconds",
        "Seconds since the first was seen.",
        oldest_s,
    )
