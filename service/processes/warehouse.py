"""The warehouse process: scheduled jobs on the lake, and reports on the private port."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etl.directory.entries import WholeDirectory
from etl.lake import compaction
from etl.lake.live.read_ahead import ReadAhead
from etl.lake.live.view import LiveView, ViewLimits
from etl.lake.opening import LakePlace, open_lake
from etl.lake.store import LakeStore
from etl.layout import Layout
from etl.log import unshipped
from etl.log.opening import open_store
from etl.log.store import SegmentStore
from etl.schedule import Schedule
from etl.upkeep import maintenance
from service.processes import child, shared_files
from service.processes.child import LogOptions, Stop
from service.processes.directory_source import WAREHOUSE_REFRESHES_AT, DirectorySource
from service.processes.jobs import (
    CompactionJob,
    DirectoryJob,
    doubt_late_start,
    maintain,
    read_ahead,
)
from service.processes.names import WAREHOUSE
from service.processes.private_port import PrivatePort
from service.shared.request_counters import RequestCounters
from service.shared.state import Shared
from service.web.health import Readiness
from service.web.http.stock_server import BoundedServer
from service.web.private.app import make_app
from service.web.private.metrics import WarehouseMetrics
from service.web.private.report_pool import ReportPool
from service.web.private.tokens import TokenFileError, TokenStore

log = logging.getLogger(__name__)

_TAIL_MEASURED_EVERY_MIN_S = 1.0
_TAIL_MEASURED_EVERY_MAX_S = 30.0
_READ_AHEAD_EVERY_S = 2.0
_DRAIN_S = 7.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseOptions:
    """The operator's choices for the warehouse."""

    data: Path
    shared_url: str
    log_url: str
    lake: LakePlace
    logs: LogOptions
    directory: DirectorySource
    compaction: compaction.CompactionPlan
    compact_interval_s: float
    maintenance: maintenance.MaintenancePlan
    maintain_interval_s: float
    report_timeout_s: float
    report_memory_bytes_max: int
    port: PrivatePort
    drain_delay_s: float


@dataclass(frozen=True, slots=True)
class WarehouseStart:
    """The values that the warehouse gets. `counters` is None if no collectors run beside it."""

    options: WarehouseOptions
    counters: RequestCounters | None
    shared: Shared
    sockets: Sequence[socket.socket]


def run(start: WarehouseStart, lifeline: int) -> int:
    """Serve until SIGTERM or the end of the lifeline, and return the exit code."""
    return child.run(WAREHOUSE, start.options.logs, lifeline, partial(_serve, start))


async def _serve(start: WarehouseStart, stop: Stop) -> int:
    options, beats = start.options, start.shared.beats
    layout = Layout(options.data.absolute())
    store, lake = _stores(layout, options)
    metrics = WarehouseMetrics(options.data, start.counters, beats, start.shared.throttle, store)
    compactor = CompactionJob(
        options.data, options.compaction, options.compact_interval_s, metrics, store, lake
    )
    await asyncio.to_thread(doubt_late_start, lake, start.shared.clock)
    database = options.directory.open()
    saved = options.directory.saved(database, WAREHOUSE_REFRESHES_AT)
    directory = DirectoryJob(saved)
    pool = _report_pool(options, saved or database, store, lake)
    schedule = _schedule(start, compactor, pool.view.ahead)
    refreshing = asyncio.create_task(directory.run_every(options.directory.read_every_s))
    tokens, pulling = shared_files.tokens(layout, options.shared_url)
    goals = shared_files.goals(layout, options.shared_url)
    await asyncio.gather(pulling.start(), goals.start())
    _remember(tokens)

    def why_not_ready() -> list[str]:
        return [
            *(["this process is draining"] if stop.is_set() else []),
            *compactor.why_not_ready(),
            *beats.why_not_ready(WAREHOUSE),
            *tokens.why_not_ready(),
            *unshipped.problems(layout),
            *directory.why_not_ready(),
        ]

    def why_degraded() -> list[str]:
        return [*directory.why_degraded(), *pulling.why_degraded(), *goals.why_degraded()]

    access = options.port.access(tokens, pulling)
    readiness = Readiness(why_not_ready, why_degraded, directory.ages_s)
    app = make_app(pool, access, metrics, readiness)
    server = options.port.server(app, access)
    server.listen(start.sockets)
    beats.keep_beating(WAREHOUSE)
    log.info("reporting")
    await stop.wait()
    await stop.delay(options.drain_delay_s)
    refreshing.cancel()
    pulling.stop()
    goals.stop()
    await _drain(server, pool, schedule)
    return 0


def _stores(layout: Layout, options: WarehouseOptions) -> tuple[SegmentStore, LakeStore]:
    store = open_store(layout, options.log_url, options.lake.url)
    return store, open_lake(layout, options.lake)


def _schedule(start: WarehouseStart, compactor: CompactionJob, ahead: ReadAhead) -> Schedule:
    options = start.options
    schedule = Schedule()
    compacting = partial(compactor.run_and_read, ahead)
    schedule.every(options.compact_interval_s, "compact", compacting)
    schedule.every(_READ_AHEAD_EVERY_S, "read ahead", partial(read_ahead, ahead))
    schedule.every(_tail_measured_every_s(options), "measure the tail", compactor.measure_tail)
    maintaining = partial(
        maintain, options.data, options.maintenance, start.shared.clock, compactor.lake
    )
    schedule.every(options.maintain_interval_s, "maintain", maintaining)
    schedule.start()
    return schedule


def _tail_measured_every_s(options: WarehouseOptions) -> float:
    half_s = options.compact_interval_s / 2
    return min(max(half_s, _TAIL_MEASURED_EVERY_MIN_S), _TAIL_MEASURED_EVERY_MAX_S)


def _report_pool(
    options: WarehouseOptions, directory: WholeDirectory, store: SegmentStore, lake: LakeStore
) -> ReportPool:
    memory_bytes = options.report_memory_bytes_max
    limits = ViewLimits(memory_bytes_max=memory_bytes, tail_bytes_max=memory_bytes // 2)
    view = LiveView(options.data, directory, limits, store, lake)
    return ReportPool(view, options.report_timeout_s)


def _remember(tokens: TokenStore) -> None:
    try:
        tokens.remember()
    except TokenFileError as error:
        log.error("cannot mark that tokens were created", extra={"fields": {"why": str(error)}})


async def _drain(server: BoundedServer, pool: ReportPool, schedule: Schedule) -> None:
    """Take no new connection, answer the waiting questions, and stop the jobs."""
    server.stop()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _DRAIN_S
    while pool.pending and loop.time() < deadline_s:
        await asyncio.sleep(_POLL_S)
    pool.close()
    # A job that takes longer ends with the process, which is safe at any instruction.
    ended = await asyncio.to_thread(schedule.stop, max(0.0, deadline_s - loop.time()))
    log.info("drained", extra={"fields": {"compaction_cut_off": not ended}})
