"""The arithmetic of capacity: from measured costs and a rate of events to machines and money.

It measures nothing, and knows no price: `benchmarks.capacity` passes both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from etl.lake.compaction import CompactionPlan
from etl.upkeep.maintenance import MaintenancePlan
from service.settings import Settings

DAY_S = 86_400
MONTH_DAYS = 30
GB = 1e9
_DEFAULTS = Settings()
COMPACT_INTERVAL_S = _DEFAULTS.compact_interval_s
PASS_BYTES_MAX = _DEFAULTS.compact_bytes_max
MAINTAIN_INTERVAL_S = _DEFAULTS.maintain_interval_s
REPORT_TIMEOUT_S = _DEFAULTS.report_timeout_s
GRACE_S = _DEFAULTS.segment_grace_s
SEGMENT_AGE_S = _DEFAULTS.segment_age_s
FILE_BYTES_TARGET = MaintenancePlan().file_bytes_target
COMPACTOR_CORES = CompactionPlan().threads_max
"""The threads that a compaction uses."""
_LIST_OBJECTS = 1_000
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Costs:
    """The measured costs of the parts, per event unless the name says otherwise."""

    single_cpu_us: float
    """Of a collector, for an event in a request of its own."""
    batched_cpu_us: float
    """Of a collector, for an event in a batch of 500."""
    single_request_bytes: float
    batched_request_bytes: float
    log_bytes: float
    parquet_bytes: float
    key_bytes: float
    compaction_cpu_us: float
    """Of a compaction into an empty lake."""
    key_search_cpu_ns: float
    """Of a compaction, per event and key file that it searches."""
    pass_cpu_ms: float
    """Of a pass of a compaction with its commits, without that of its events."""
    read_ahead_cpu_us: float
    """Of a warehouse that parses the tail, so that reports need not."""
    merge_cpu_us: float
    """Of maintenance, for an event in a small file."""
    report_ms: float
    """Of the report `summary` of all shops, per million events of its period, on two cores."""

    def collector_us(self, batched_share: float) -> float:
        """Return the CPU time of a collector per event, if this share comes in batches."""
        return self.single_cpu_us + batched_share * (self.batched_cpu_us - self.single_cpu_us)

    def request_bytes(self, batched_share: float) -> float:
        """Return the bytes of requests per event."""
        more = self.batched_request_bytes - self.single_request_bytes
        return self.single_request_bytes + batched_share * more


@dataclass(frozen=True, slots=True)
class StorageRequests:
    """The measured requests to object storage per day.

    `puts`, `gets` (with HEADs, and those of the warehouse) and `lists` are per worker, the others
    per warehouse; `warehouse_lists` of a bucket of up to 1,000 objects. `objects`: those of one
    worker that the bucket holds at a time.
    """

    puts: float
    gets: float
    lists: float
    warehouse_puts: float
    warehouse_lists: float
    objects: float


@dataclass(frozen=True, slots=True)
class Operator:
    """The choices and the prices of an operator. The defaults are an example, and no offer."""

    batched_share: float = 0.0
    busy_share: float = 0.5
    """The share of a core that is used at the planned rate; the rest is for peaks and failures."""
    machine_cores: int = 4
    retention_days: int = 365
    core_hour: float = 0.04
    gb_month: float = 0.023
    thousand_puts: float = 0.005
    """PUT and LIST requests."""
    thousand_gets: float = 0.0004
    """GET and HEAD requests."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts that a rate of events needs, and their price per month."""

    events_per_s: float
    workers: int
    lakes: int
    """The lakes that share the events by shop, each with a compactor of its own."""
    compactor_cores: float
    """The cores that all compactors use, with merging and reading ahead."""
    one_lake_cores: float
    """The cores that compactions would use if one lake held all events."""
    machines: int
    in_mbit_per_s: float
    log_gb_per_day: float
    lake_gb_per_day: float
    key_gb: float
    """The key files of 24 hours, which searches should find in memory."""
    puts_per_day: float
    gets_per_day: float
    report_s: float
    """The seconds of `summary` for all shops over a day, on two cores."""
    prices: Mapping[str, float]

    @property
    def price(self) -> float:
        """The sum of the prices."""
        return sum(self.prices.values())


def plan(events_per_s: float, costs: Costs, requests: StorageRequests, operator: Operator) -> Plan:
    """Return the plan for a steady rate of events."""
    workers = _ceil(_cores(events_per_s, costs.collector_us(operator.batched_share)), operator)
    lakes = math.ceil(events_per_s / compactor_limit(costs, operator.busy_share))
    used = lakes * compactor_cores(events_per_s / lakes, costs)
    machines = math.ceil((workers + lakes * COMPACTOR_CORES) / operator.machine_cores)
    a_day = events_per_s * DAY_S
    lake_bytes = costs.parquet_bytes + costs.key_bytes
    puts = workers * (requests.puts + requests.lists) + lakes * requests.warehouse_puts
    puts += _lists(workers, lakes, requests)
    gets = workers * requests.gets
    stored_gb = a_day * lake_bytes * operator.retention_days / GB
    prices = {
        "machines": machines * operator.machine_cores * 24 * MONTH_DAYS * operator.core_hour,
        "storage": stored_gb * operator.gb_month,
        "PUT and LIST": puts * MONTH_DAYS / 1_000 * operator.thousand_puts,
        "GET and HEAD": gets * MONTH_DAYS / 1_000 * operator.thousand_gets,
    }
    return Plan(
        events_per_s=events_per_s,
        workers=workers,
        lakes=lakes,
        compactor_cores=used,
        one_lake_cores=compactor_cores(events_per_s, costs),
        machines=machines,
        in_mbit_per_s=events_per_s * costs.request_bytes(operator.batched_share) * 8 / 1e6,
        log_gb_per_day=a_day * costs.log_bytes / GB,
        lake_gb_per_day=a_day * lake_bytes / GB,
        key_gb=a_day * costs.key_bytes / GB,
        puts_per_day=puts,
        gets_per_day=gets,
        report_s=a_day / 1e6 * costs.report_ms / 1_000,
        prices=prices,
    )


def key_files(events_per_s: float, costs: Costs) -> float:
    """Return the key files of 24 hours: large ones, and those that are not merged yet.

    A pass makes one. Maintenance merges them once per hour, so half an hour's are small.
    """
    events_per_file = FILE_BYTES_TARGET / costs.parquet_bytes
    large = events_per_s * DAY_S / events_per_file
    return large + passes_per_s(events_per_s, costs) * MAINTAIN_INTERVAL_S / 2


def passes_per_s(events_per_s: float, costs: Costs) -> float:
    """Return the passes of compactions per second: at least one per compaction."""
    return max(1 / COMPACT_INTERVAL_S, events_per_s * costs.log_bytes / PASS_BYTES_MAX)


def compactor_cores(events_per_s: float, costs: Costs) -> float:
    """Return the cores that a compactor uses at this rate, with merging and reading ahead."""
    searching_us = key_files(events_per_s, costs) * costs.key_search_cpu_ns / 1_000
    each_us = costs.compaction_cpu_us + costs.read_ahead_cpu_us + costs.merge_cpu_us
    passes = passes_per_s(events_per_s, costs) * costs.pass_cpu_ms / 1_000
    return passes + _cores(events_per_s, each_us + searching_us)


def compactor_limit(costs: Costs, busy_share: float) -> float:
    """Return the events per second at which one compactor uses its share of its cores."""
    low, high = 0.0, 1e9
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if compactor_cores(middle, costs) > COMPACTOR_CORES * busy_share:
            high = middle
        else:
            low = middle
    return low


def report_limit(costs: Costs) -> float:
    """Return the events over which a report of all shops ends within its time, on two cores."""
    return REPORT_TIMEOUT_S * 1e9 / costs.report_ms


def _lists(workers: int, lakes: int, requests: StorageRequests) -> float:
    """Return the LISTs of all warehouses per day: each lists its own workers' objects."""
    pages = math.ceil(workers / lakes * requests.objects / _LIST_OBJECTS)
    return lakes * requests.warehouse_lists * max(1, pages)


def _cores(events_per_s: float, cpu_us: float) -> float:
    return events_per_s * cpu_us / 1e6


def _ceil(cores: float, operator: Operator) -> int:
    return math.ceil(cores / operator.busy_share)
