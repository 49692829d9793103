"""The plan beside a run of the whole service, at the largest rate that this machine takes.

One service with a worker, which gets batches as fast as it answers, and its warehouse, which
compacts meanwhile. The run ends when the lake holds every event. The sum of the costs of the parts,
which were measured one by one, should be the cost of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import backlog, batches, loads, wrk
from benchmarks.candidates import beaconlog
from benchmarks.capacity_plan import Costs
from benchmarks.growth import BESIDE, PARQUET, bytes_per_event
from benchmarks.rounds import BenchmarkFailed, tell
from benchmarks.servers import Running, Server, running
from benchmarks.size import Size
from benchmarks.wrk import Load
from etl.lake.snapshot import Snapshot
from etl.lake.tables import DUPLICATES, EVENTS
from etl.layout import Layout

COMPACT_INTERVAL_S = 5
FULL_SECONDS, QUICK_SECONDS = 30, 5
_DEADLINE_S = 300.0
_POLL_S = 1.0


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

    events: int
    events_per_s: float
    compared: Sequence[Compared]


def measure(size: Size, costs: Costs) -> Run:
    """Return the run. Raises BenchmarkFailed if an event is missing in the lake."""
    tell("the whole service")
    seconds = FULL_SECONDS if size.scale >= 1 else QUICK_SECONDS
    role = beaconlog("serve", compact_interval_s=COMPACT_INTERVAL_S, segment_grace_s=3_600)
    with running(Server("beaconlog", role, cpus=2)) as at_work:
        file = wrk.prepare(at_work, loads.batches())
        before_s = at_work.cpu_s()
        load = Load(file, batches.CONNECTIONS, seconds, has_one_id=False)
        sent = wrk.send(at_work, load)
        events = _compacted(at_work, sent.requests * loads.BATCH_EVENTS)
        snapshot = Snapshot.load(Layout(at_work.folder / "data").table(EVENTS.name), EVENTS)
        cpu_us = 1e6 * (at_work.cpu_s() - before_s) / events
        sizes = bytes_per_event(at_work.folder / "data", events)
        log_bytes = backlog.log_bytes(at_work.folder / "data") / events
    searched = (len(snapshot.files) - 1) / 2
    planned_us = costs.batched_cpu_us + costs.compaction_cpu_us + costs.read_ahead_cpu_us
    planned_us += searched * costs.key_search_cpu_ns / 1_000
    planned_us += (snapshot.version or 0) * costs.pass_cpu_ms * 1_000 / events
    return Run(
        events,
        sent.per_s * loads.BATCH_EVENTS,
        (
            Compared("CPU µs per event", planned_us, cpu_us),
            Compared("log, bytes per event", costs.log_bytes, log_bytes),
            Compared("Parquet, bytes per event", costs.parquet_bytes, sizes[PARQUET]),
            Compared("key files, bytes per event", costs.key_bytes, sizes[BESIDE]),
        ),
    )


def _compacted(at_work: Running, events: int) -> int:
    """Wait until the lake holds every event of the log, and return their number."""
    layout = Layout(at_work.folder / "data")
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
