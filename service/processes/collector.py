"""A collector process: claim a series, serve the public port, drain."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.directory.entries import DirectoryUnavailable
from etl.layout import DataFolderError, Layout
from etl.log import unshipped
from etl.log.segment_writer import SegmentWriter
from etl.log.series import SeriesFormatError
from service.collector.client import ClientAddress
from service.collector.clock import Clock
from service.collector.context.agents import Agents
from service.collector.context.contexts import Contexts
from service.collector.context.countries import CountryDatabase, NoCountries
from service.collector.contract.contract import Contract
from service.collector.directory.directory import Directory
from service.collector.intake import (
    Endpoints,
    EventStream,
    Parts,
    TimeBounds,
    closed_endpoints,
    make_endpoints,
)
from service.collector.journal import Journal
from service.collector.rejected import ByteBudget, RejectedStream
from service.collector.signing.verifier import Verifier
from service.collector.throttle.limiter import Limiter
from service.collector.visitors import DailySalts
from service.processes import child, shared_files
from service.processes.child import LogOptions, Stop
from service.processes.collector_jobs import clear_salts, follow_countries
from service.processes.directory_source import DirectorySource
from service.processes.memory import give_back_regularly, spare_long_lived_objects
from service.processes.names import collector_name
from service.processes.not_ready import NotYet, begin_or_retry
from service.processes.series import CollectorSeries
from service.shared.request_counters import RequestCounters
from service.shared.state import Shared
from service.web.health import Readiness
from service.web.http.fast_server import FastServer
from service.web.http.server import Server
from service.web.http.stock_server import BoundedServer
from service.web.public.app import BodyLimits, InFlight, Port, ingest_routes, make_app
from service.web.public.exchanges import PublicExchanges

log = logging.getLogger(__name__)

_DRAIN_S = 7.0
_FAILED_DRAIN_S = 1.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorOptions:
    """The operator's choices for every collector of a start."""

    data: Path
    shared_url: str
    logs: LogOptions
    directory: DirectorySource
    body_bytes_max: int
    batch_bytes_max: int
    time_bounds: TimeBounds
    rejected_bytes_per_min_max: int
    segment_bytes_max: int
    segment_age_s: float
    disk_free_bytes_min: int
    http_server: str
    trusted_proxies: Sequence[str]
    connections_max: int
    drain_delay_s: float
    country_database: Path | None


@dataclass(frozen=True, slots=True)
class CollectorStart:
    """The values that every collector of a start gets."""

    options: CollectorOptions
    contract: Contract
    agents: Agents
    limiter: Callable[[int, Clock], Limiter]
    counters: RequestCounters
    shared: Shared
    sockets: Sequence[socket.socket]


def run(start: CollectorStart, slot: int, lifeline: int) -> int:
    """Serve until SIGTERM or the end of the lifeline, and return the exit code."""
    name = collector_name(slot)
    return child.run(
        name, start.options.logs, lifeline, lambda stop: _Collector(start, slot, stop).serve()
    )


class _Collector:
    """The parts of a collector, and the order in which they start and stop."""

    def __init__(self, start: CollectorStart, slot: int, stop: Stop) -> None:
        self._start = start
        self._options = options = start.options
        self._slot = slot
        self._name = collector_name(slot)
        self._stop = stop
        self._layout = Layout(options.data.absolute())
        self._salts = DailySalts(self._layout.salts)
        self._secrets, self._pulling = shared_files.secrets(self._layout, options.shared_url)
        self._in_flight = InFlight()
        self._clock = Clock()
        self._limiter = start.limiter(slot, self._clock)
        self._series = CollectorSeries(
            self._layout,
            slot,
            self._clock,
            segment_bytes_max=options.segment_bytes_max,
            disk_free_bytes_min=options.disk_free_bytes_min,
        )
        database = options.country_database
        self._countries = CountryDatabase(database) if database else None
        self._directory: Directory | None = None
        self._failed = False

    async def serve(self) -> int:
        """Serve until the stop event is set; return 1 if the log failed, else 0."""
        await self._pulling.start()
        started = await begin_or_retry(
            self._begin, self._stop, self._start.sockets, self._closed_server
        )
        if started is None:
            return 0
        directory, writer = started
        self._directory = directory
        journal = Journal(
            writer,
            self._clock,
            segment_age_s=self._options.segment_age_s,
            on_broken=self._journal_broke,
        )
        journal.start()
        background = [
            asyncio.create_task(clear_salts(self._salts, self._start.shared.clock)),
            asyncio.create_task(self._series.follow_clock(journal)),
            asyncio.create_task(give_back_regularly()),
            asyncio.create_task(self._limiter.run()),
        ]
        if self._countries:
            self._countries.refresh()
            background.append(asyncio.create_task(follow_countries(self._countries)))
        server = self._server(
            self._endpoints(directory, journal), lambda: self._why_not_ready(journal)
        )
        spare_long_lived_objects()
        server.listen(self._start.sockets)
        self._start.shared.beats.keep_beating(self._name)
        log.info("collecting", extra={"fields": {"series": self._series.name}})
        await self._stop.wait()
        await self._drain(server, journal)
        for task in background:
            task.cancel()
        await directory.stop()
        self._pulling.stop()
        self._series.release()
        return 1 if self._failed else 0

    async def _begin(self) -> tuple[Directory, SegmentWriter]:
        """Return the directory, loaded, and the writer of a new series. Raises NotYet."""
        directory = self._options.directory.in_memory()
        try:
            self._layout.refuse_full_disk()
            await directory.start()
            writer = self._series.claim()
        except (DataFolderError, DirectoryUnavailable, SeriesFormatError, OSError) as error:
            await directory.stop()
            raise NotYet(str(error)) from error
        return directory, writer

    def _closed_server(self, why_not_ready: Callable[[], Sequence[str]]) -> Server:
        return self._server(closed_endpoints(), why_not_ready)

    def _server(self, endpoints: Endpoints, why_not_ready: Callable[[], Sequence[str]]) -> Server:
        options = self._options
        limits = BodyLimits(options.body_bytes_max, options.batch_bytes_max)
        port = Port(
            routes=ingest_routes(endpoints, self._start.counters, self._slot, limits),
            clients=ClientAddress(options.trusted_proxies),
            in_flight=self._in_flight,
            readiness=Readiness(why_not_ready, self._why_degraded, self._ages_s),
        )
        app = make_app(port)
        if options.http_server == "fast":
            return FastServer(
                PublicExchanges(app, port),
                port.clients.share_key,
                connections_max=options.connections_max,
            )
        return BoundedServer(app, port.clients, connections_max=options.connections_max)

    def _endpoints(self, directory: Directory, journal: Journal) -> Endpoints:
        options, contract, clock = self._options, self._start.contract, self._clock
        budget = ByteBudget(options.rejected_bytes_per_min_max)
        contexts = Contexts(self._start.agents, self._countries or NoCountries())
        return make_endpoints(
            Parts(
                contract=contract,
                directory=directory,
                verifier=Verifier(self._secrets, clock, self._pulling.newer),
                gates=self._limiter.gates,
                events=EventStream(journal, clock, self._salts, options.time_bounds, contexts),
                rejected=RejectedStream(journal, clock, budget, schema_version=contract.version),
                body_bytes_max=options.body_bytes_max,
                batch_bytes_max=options.batch_bytes_max,
            )
        )

    def _why_not_ready(self, journal: Journal) -> list[str]:
        draining = ["this process is draining"] if self._in_flight.draining else []
        return [
            *draining,
            *journal.why_not_ready(),
            *self._secrets.why_not_ready(),
            *self._start.shared.beats.why_not_ready(self._name),
        ]

    def _why_degraded(self) -> list[str]:
        return [
            *self._limiter.why_degraded(),
            *unshipped.problems(self._layout),
            *(self._countries.why_degraded() if self._countries else ()),
            *(self._directory.why_degraded() if self._directory else ()),
            *self._pulling.why_degraded(),
        ]

    def _ages_s(self) -> Mapping[str, float]:
        return self._directory.ages_s() if self._directory else {}

    def _journal_broke(self) -> None:
        self._failed = True
        self._stop.set_now()

    async def _drain(self, server: Server, journal: Journal) -> None:
        """Answer the requests in flight, and seal the open segment."""
        self._in_flight.draining = True
        await self._stop.delay(self._options.drain_delay_s)
        server.stop()
        loop = asyncio.get_running_loop()
        # After a failure nobody serves the port until this process has ended: do not wait long.
        deadline_s = loop.time() + (_FAILED_DRAIN_S if self._failed else _DRAIN_S)
        await asyncio.sleep(_POLL_S)  # for requests that were already sent
        while self._in_flight.requests and loop.time() < deadline_s:
            await asyncio.sleep(_POLL_S)
        await journal.close()
        log.info("drained", extra={"fields": {"cut_off": len(self._in_flight.requests)}})
        await server.cut_off()
