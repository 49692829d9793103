"""The plan beside runs of the whole service, at the largest rate that this machine takes.

One service with a worker, which gets requests as fast as it answers, and its warehouse, which
compacts meanwhile. A run ends when the lake holds every event. The sum of the costs of the parts,
which were measured one by one, should be the cost of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import backlog, batches, loads, wrk
from benchmarks.candidates import beaconlog
from benchmarks.capacity_plan import Costs
from benchmarks.capacity_storage import Commands
from benchmarks.growth import BESIDE, PARQUET, bytes_per_event
from benchmarks.loads import Request
from benchmarks.rounds import BenchmarkFailed, tell
from benchmarks.servers import Server, free_port, running
from benchmarks.size import Size
from benchmarks.wrk import Load
from etl.lake.snapshot import Snapshot
from etl.lake.tables import DUPLICATES, EVENTS
from etl.layout import Layout

COMPACT_INTERVAL_S = 5
FULL_SECONDS, QUICK_SECONDS = 30, 5
CONNECTIONS = 256
_SETTINGS = {"compact_interval_s": COMPACT_INTERVAL_S, "segment_grace_s": 3_600}
_DEADLINE_S = 300.0
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """A load, and where the log and the lake are."""

    title: str
    requests: Callable[[], Sequence[Request]]
    events_per_request: int
    connections: int
    is_in_storage: bool = False

    def collector_cpu_us(self, costs: Costs) -> float:
        """Return the cost of an event by the plan."""
        return costs.single_cpu_us if self.events_per_request == 1 else costs.batched_cpu_us


_BATCHES = Case("in batches", loads.batches, loads.BATCH_EVENTS, batches.CONNECTIONS)
_STORED = "in batches, with the log and the lake in object storage"
CASES = (
    _BATCHES,
    Case("one per request", loads.browsers_kept, 1, CONNECTIONS),
    replace(_BATCHES, title=_STORED, is_in_storage=True),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A cost by the plan, and as it was measured."""

    name: str
    planned: float
    measured: float

    @property
    def ratio(self) -> float:
        """The measured cost as a share of the planned one."""
        return self.measured / self.planned


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the whole service."""

    title: str
    events: int
    events_per_s: float
    compared: Sequence[Compared]


def measure(size: Size, costs: Costs) -> Sequence[Run]:
    """Return a run per case. Raises BenchmarkFailed if an event is missing in the lake."""
    return [_run(case, size, costs) for case in CASES]


def _run(case: Case, size: Size, costs: Costs) -> Run:
    tell(f"the whole service, events {case.title}")
    seconds = FULL_SECONDS if size.scale >= 1 else QUICK_SECONDS
    with running(_server(case)) as at_work:
        data = at_work.folder / ("serve/data" if case.is_in_storage else "data")
        # The last process is ours; before it is that of the storage.
        service = replace(at_work, sessions=at_work.sessions[-1:])
        file = wrk.prepare(at_work, case.requests())
        before_s = service.cpu_s()
        load = Load(file, case.connections, seconds, has_one_id=case.events_per_request == 1)
        sent = wrk.send(at_work, load)
        events = _compacted(data, sent.requests * case.events_per_request)
        cpu_us = 1e6 * (service.cpu_s() - before_s) / events
        compared = [
            Compared("CPU µs per event", _planned_cpu_us(case, costs, data, events), cpu_us),
            *_bytes(case, costs, data, events),
        ]
    return Run(case.title, events, sent.per_s * case.events_per_request, compared)


def _server(case: Case) -> Server:
    if case.is_in_storage:
        return Server("beaconlog", Commands(("serve",), free_port(), **_SETTINGS), cpus=2)
    return Server("beaconlog", beaconlog("serve", **_SETTINGS), cpus=2)


def _planned_cpu_us(case: Case, costs: Costs, data: Path, events: int) -> float:
    """Return the sum of the costs of the parts, for the files and versions of the lake."""
    snapshot = Snapshot.load(Layout(data).table(EVENTS.name), EVENTS)
    searched = (len(snapshot.files) - 1) / 2
    each_us = case.collector_cpu_us(costs) + costs.compaction_cpu_us + costs.read_ahead_cpu_us
    each_us += searched * costs.key_search_cpu_ns / 1_000
    return each_us + (snapshot.version or 0) * costs.pass_cpu_ms * 1_000 / events


def _bytes(case: Case, costs: Costs, data: Path, events: int) -> Sequence[Compared]:
    log = Compared("log, bytes per event", costs.log_bytes, backlog.log_bytes(data) / events)
    if case.is_in_storage:  # only some of the lake's files have a copy here
        return [log]
    sizes = bytes_per_event(data, events)
    return [
        log,
        Compared("Parquet, bytes per event", costs.parquet_bytes, sizes[PARQUET]),
        Compared("key files, bytes per event", costs.key_bytes, sizes[BESIDE]),
    ]


def _compacted(data: Path, events: int) -> int:
    """Wait until the lake holds every event of the log, and return their number."""
    layout = Layout(data)
    deadline_s = time.monotonic() + _DEADLINE_S
    held, since_s = 0, time.monotonic()
    while time.monotonic() < deadline_s:
        snapshots = [
            Snapshot.load(layout.table(table.name), table) for table in (EVENTS, DUPLICATES)
        ]
        before, held = held, sum(file.rows for each in snapshots for file in each.listed())
        if held != before:
            since_s = time.monotonic()
        # wrk counts only responses: the requests under way at its end are in the log too.
        if held >= events and time.monotonic() - since_s > 2 * COMPACT_INTERVAL_S:
            return held
        time.sleep(_POLL_S)
    raise BenchmarkFailed(f"the lake holds {held} of {events} events after {_DEADLINE_S:g} s")
