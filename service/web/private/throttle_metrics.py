"""The metrics of the throttle's server, for a start with a `throttle_url`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.collector.throttle.valkey.tally import Word
from service.shared.throttle_counters import ThrottleCounters


class ThrottleMetrics(Collector):
    """Whether the server decides, for how many machines, and who decided how often."""

    def __init__(self, counters: ThrottleCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        counters = self._counters
        up = GaugeMetricFamily(
            "beaconlog_throttle_server_up",
            "Whether the throttle's server decides for a process; 0: the machine's share does.",
            labels=["process"],
        )
        for process, is_up in counters.by_process(Word.IS_UP):
            up.add_metric([process], is_up)
        decisions = CounterMetricFamily(
            "beaconlog_throttle_decisions",
            "Decisions of the throttle by the server, and by the machine's share instead.",
            labels=["by"],
        )
        decisions.add_metric(["server"], counters.total(Word.BY_SERVER))
        decisions.add_metric(["machine"], counters.total(Word.BY_MACHINE))
        yield from (up, decisions)
        yield GaugeMetricFamily(
            "beaconlog_throttle_machines",
            "Machines that share the limits, as far as this one knows.",
            value=max(machines for _, machines in counters.by_process(Word.MACHINES)),
        )
        yield CounterMetricFamily(
            "beaconlog_throttle_given_back",
            "Decisions of the server that came too late and were given back.",
            value=counters.total(Word.GIVEN_BACK),
        )
