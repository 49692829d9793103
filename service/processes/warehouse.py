"""The warehouse process: compaction on schedule, and reports on the private port."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import uvloop

from etl.lake import compaction
from etl.lake.compaction import Outcome, Plan
from etl.lake.errors import LakeError
from etl.lake.live.view import Limits, LiveView
from etl.lake.snapshot import Snapshot, newest_date
from etl.lake.tables import TABLES
from etl.layout import DataFolderError, Layout
from etl.log.recovery import SeriesFormatError
from etl.schedule import Schedule
from etl.trusted_clock import BELIEVED_AFTER_S, TrustedClock
from etl.upkeep import maintenance
from service import logs
from service.collector.client import ClientAddress
from service.processes.database import database
from service.processes.stopping import stop_event
from service.settings import Settings
from service.shared.request_counters import Tally
from service.shared.state import Shared
from service.web.http.stock_server import BoundedServer
from service.web.private.access import Access
from service.web.private.app import make_app
from service.web.private.metrics import Metrics
from service.web.private.report_pool import ReportPool
from service.web.private.tokens import TokenFileError, TokenStore

log = logging.getLogger(__name__)

_NAME = "warehouse"
_LOOKED_EVERY_MAX_S = 30.0
_DRAIN_S = 7.0
_POLL_S = 0.02
_FAILURES = (LakeError, OSError, DataFolderError, SeriesFormatError, compaction.CompactionConflict)


def run(
    settings: Settings,
    tally: Tally | None,
    shared: Shared,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    """Serve until SIGTERM or until the supervisor is gone; the exit code."""
    logs.configure(
        log_format=settings.log_format,
        log_level=settings.log_level,
        role=_NAME,
        stream=sys.stderr,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, tally, shared, sockets, lifeline))


async def _serve(
    settings: Settings,
    tally: Tally | None,
    shared: Shared,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    beats = shared.beats
    stop = stop_event(lifeline)
    metrics = Metrics(settings.data, tally, beats)
    compactor = Compactor(settings, metrics)
    await asyncio.to_thread(_doubt_a_late_start, settings.data, shared.clock)
    schedule = Schedule()
    schedule.every(settings.compact_interval_s, "compact", compactor.run)
    schedule.every(_looked_every_s(settings), "look at the tail", compactor.look)
    maintaining = partial(_maintain, settings, shared.clock)
    schedule.every(settings.maintain_interval_s, "maintain", maintaining)
    schedule.start()
    limits = Limits(memory_bytes_max=settings.report_memory_bytes_max)
    pool = ReportPool(
        LiveView(settings.data, database(settings), limits), settings.report_timeout_s
    )
    clients = ClientAddress(settings.trusted_proxies)
    tokens = TokenStore(Layout(settings.data).tokens)
    access = Access(
        settings.reports_token,
        tokens,
        settings.reports_host,
        opened=settings.reports_open,
        proxies=clients,
    )
    _remember(tokens)
    app = make_app(
        pool,
        access,
        metrics,
        lambda: [
            *compactor.why_not_ready(),
            *beats.why_not_ready(_NAME),
            *tokens.why_not_ready(),
        ],
    )
    server = BoundedServer(app, clients, connections_max=settings.connections_max)
    server.listen(sockets)
    beats.keep_beating(_NAME)
    log.info("reporting")
    await stop.wait()
    server.stop()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _DRAIN_S
    while pool.pending and loop.time() < deadline_s:
        await asyncio.sleep(_POLL_S)
    pool.close()
    # A compaction that takes longer is cut off: it can be at any instruction.
    ended = await asyncio.to_thread(schedule.stop, max(0.0, deadline_s - loop.time()))
    log.info("drained", extra={"fields": {"compaction_cut_off": not ended}})
    return 0


def _remember(tokens: TokenStore) -> None:
    try:
        tokens.remember()
    except TokenFileError as error:
        log.error("that tokens were made is not marked", extra={"fields": {"why": str(error)}})


def _looked_every_s(settings: Settings) -> float:
    return min(max(settings.compact_interval_s / 2, 1.0), _LOOKED_EVERY_MAX_S)


def _doubt_a_late_start(data: Path, clock: TrustedClock) -> None:
    """Doubt the clock where it is more than a day past the newest receipt of the lake."""
    layout = Layout(data.absolute())
    try:
        newest = newest_date(Snapshot.load(layout.table(one.name), one) for one in TABLES)
    except LakeError as error:
        log.error("the newest receipt is not known", extra={"fields": {"why": str(error)}})
        return
    if newest:
        its_end = datetime.combine(newest + timedelta(days=1), datetime.min.time(), UTC)
        clock.doubt_after(its_end.timestamp() + BELIEVED_AFTER_S)


def _maintain(settings: Settings, clock: TrustedClock) -> None:
    """One run of maintenance; what fails is logged by its cause and tried again next time."""
    try:
        outcome = maintenance.run(settings.data, upkeep(settings), clock.now_s())
    except _FAILURES as error:
        log.error("maintenance failed", extra={"fields": {"why": str(error)}})
        return
    log.info("maintained", extra={"fields": asdict(outcome)})


@dataclass(slots=True)
class Compactor:
    """The scheduled compaction, and what is wrong with it, if anything."""

    settings: Settings
    metrics: Metrics
    _clock: TrustedClock = field(init=False)
    _reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clock = TrustedClock(believed_after_s=self.settings.segment_grace_s)

    def run(self) -> None:
        """One run; failures are logged by their cause and tried again at the next time.

        Raises what is none of those; the schedule logs it.
        """
        began_s = time.monotonic()
        try:
            outcome = compaction.run(self.settings.data, plan(self.settings), self._clock.now_s())
        except _FAILURES as error:
            self.metrics.compaction_failed(time.monotonic() - began_s)
            self._reasons = [f"compaction failed: {error}"]
            log.error("compaction failed", extra={"fields": {"why": str(error)}})
            return
        except Exception:
            self.metrics.compaction_failed(time.monotonic() - began_s)
            self._reasons = ["compaction failed; the log says why"]
            raise
        self.metrics.compacted(outcome, time.monotonic() - began_s)
        self._reasons = [
            f"compaction stopped {item.series} at segment {item.segment}: {item.reason}"
            for item in outcome.stopped
        ]
        if outcome.segments:
            log.info("compacted", extra={"fields": _fields(outcome)})

    def look(self) -> None:
        """See what waits; how long it has is a reason not to be ready."""
        try:
            self.metrics.look_at_the_tail()
        except LakeError as error:
            log.error("the tail's age is not known", extra={"fields": {"why": str(error)}})

    def why_not_ready(self) -> Sequence[str]:
        """What keeps events from reaching the lake."""
        stalled = self.metrics.tail.why_not_ready(self.settings.compact_interval_s)
        return [*self._reasons, *stalled]


def plan(settings: Settings) -> Plan:
    """What the settings say of compaction."""
    return Plan(bytes_max=settings.compact_bytes_max, segment_grace_s=settings.segment_grace_s)


def upkeep(settings: Settings) -> maintenance.Plan:
    """What the settings say of maintenance."""
    return maintenance.Plan(
        retention_days=settings.retention_days,
        rejected_retention_days=settings.rejected_retention_days,
        snapshot_retention_hours=settings.snapshot_retention_hours,
    )


def _fields(outcome: Outcome) -> dict[str, object]:
    return {
        "segments": outcome.segments,
        "lines": outcome.lines,
        "rows": outcome.rows,
        "duplicates": outcome.duplicates,
        "rejected": outcome.rejected,
        "version": outcome.version,
    }
