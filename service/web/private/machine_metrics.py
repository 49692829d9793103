"""The metrics of a machine: requests, processes, limits, the disk, and what is not shipped yet.

A machine that only collects has no others. The requests to the collectors are counted in shared
memory, not by prometheus_client's multiprocess mode; see docs/decisions/metrics.md. This needs no
lake, so the process that serves them is small.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from etl.directory import snapshot_file
from etl.layout import Layout
from etl.log.store import LocalLog, SegmentStore
from etl.log.unshipped import Unshipped
from service.shared.heartbeat import Heartbeats
from service.shared.request_counters import RequestCounters
from service.shared.throttle_counters import ThrottleCounters
from service.web.private.throttle_metrics import ThrottleMetrics


@dataclass(eq=False)
class MachineMetrics:
    """The metrics of the processes of one start, and of its data folder.

    `counters` are those of the collectors, if any; `beats` are the heartbeats of all processes of
    the start; `throttle` counts the decisions of its server, if it has one. `store` says what is
    not shipped; None is the log of the data folder.
    """

    data: Path
    counters: RequestCounters | None
    beats: Heartbeats | None = None
    throttle: ThrottleCounters | None = None
    store: SegmentStore | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry, init=False)

    def __post_init__(self) -> None:
        self._layout = Layout(self.data.absolute())
        self._store = self.store or LocalLog.of(self._layout)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Disk(self._layout, self._store))
        if self.counters:
            self.registry.register(_Requests(self.counters))
        if self.beats:
            self.registry.register(_Beats(self.beats))
        if self.throttle:
            self.registry.register(ThrottleMetrics(self.throttle))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format.

        Reads the data folder, so do not call it on an event loop.
        """
        return generate_latest(self.registry)


class _Disk(Collector):
    """Gauges of the data folder of a machine, read at each scrape."""

    def __init__(self, layout: Layout, store: SegmentStore) -> None:
        self._layout, self._store = layout, store

    def collect(self) -> Iterator[Metric]:
        free = shutil.disk_usage(self._layout.root).free
        yield gauge("beaconlog_disk_free_bytes", "Free bytes on the data folder's disk.", free)
        yield from _unshipped(self._store.unshipped())
        age_s = snapshot_file.age_s(self._layout.directory_snapshot, time.time())
        if age_s < inf:
            yield gauge("beaconlog_directory_age_seconds", "Age of the saved directory.", age_s)


class _Requests(Collector):
    """Requests to the collectors."""

    def __init__(self, counters: RequestCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "beaconlog_requests",
            "Requests to the endpoints of the public port, by path and status.",
            labels=["path", "status"],
        )
        for path, status, count in self._counters.totals():
            family.add_metric([path, str(status)], count)
        yield family


class _Beats(Collector):
    """Seconds since the last heartbeat of each process."""

    def __init__(self, beats: Heartbeats) -> None:
        self._beats = beats

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "beaconlog_process_silent_seconds",
            "Seconds since a process' last heartbeat, or since its start if it does not serve yet.",
            labels=["process"],
        )
        for silence in self._beats.silences(time.monotonic()):
            family.add_metric([silence.process], silence.age_s)
        yield family


def _unshipped(waiting: Unshipped) -> Iterator[Metric]:
    """Yield the gauges of what this machine has not shipped; 0 if it ships nothing."""
    for name, value, about in (
        ("segments", len(waiting.waiting), "Sealed segments that wait to be shipped."),
        ("bytes", waiting.size_bytes, "Bytes of these segments."),
        ("problems", len(waiting.problems), "Reasons why segments cannot be shipped."),
    ):
        yield gauge(f"beaconlog_unshipped_{name}", about, value)


def gauge(name: str, help_text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, help_text, value=value)
