"""One collector process: claims its series, serves the public port, drains."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import uvloop

from etl.directory.entries import DirectoryUnavailable
from etl.layout import DataFolderError, Layout
from etl.log import recovery
from etl.log.recovery import Claim
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position
from service import logs
from service.collector.client import ClientAddress
from service.collector.clock import Clock
from service.collector.contract.contract import Contract
from service.collector.directory.directory import Directory
from service.collector.intake import Bounds, Closed, Endpoints, Intake
from service.collector.journal import Journal, JournalBroken
from service.collector.rejected import ByteBudget, RejectedStream
from service.collector.signing.secret_store import SecretStore
from service.collector.throttle.gates import Buckets, Gates
from service.collector.visitors import DailySalts
from service.processes import not_ready
from service.processes.database import database
from service.processes.memory import give_back_regularly
from service.processes.not_ready import NotYet
from service.processes.stopping import stop_event
from service.settings import Settings
from service.shared.request_counters import Tally
from service.shared.state import Shared
from service.web.http.stock_server import BoundedServer, Server
from service.web.public.app import InFlight, Port, ingest_routes, make_app
from service.web.public.server import FastServer

log = logging.getLogger(__name__)

_DRAIN_S = 7.0
_FAILED_DRAIN_S = 1.0
_POLL_S = 0.02
_GARBAGE_OBJECTS_MAX = 10_000
_SALTS_CLEARED_EVERY_S = 3600.0
_DAY_US = 86_400_000_000
_CLOCK_WATCHED_EVERY_S = 0.5


def run(  # noqa: PLR0913, PLR0917  (what the processes of a start have in common, and its slot)
    settings: Settings,
    contract: Contract,
    buckets: Buckets,
    tally: Tally,
    shared: Shared,
    slot: int,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    """Serve until SIGTERM or until the supervisor is gone; the exit code."""
    logs.configure(
        log_format=settings.log_format,
        log_level=settings.log_level,
        role=f"worker-{slot}",
        stream=sys.stderr,
    )
    worker = _Worker(settings, contract, buckets, tally, shared, slot)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(worker.serve(sockets, lifeline))


class _Worker:
    """The parts of one collector, put together from the settings."""

    def __init__(  # noqa: PLR0913, PLR0917  (as run)
        self,
        settings: Settings,
        contract: Contract,
        buckets: Buckets,
        tally: Tally,
        shared: Shared,
        slot: int,
    ) -> None:
        self._settings = settings
        self._contract = contract
        self._buckets = buckets
        self._tally = tally
        self._beats = shared.beats
        self._clock = shared.clock
        self._name = f"worker-{slot}"
        self._slot = slot
        self._layout = Layout(settings.data.absolute())
        self._salts = DailySalts(self._layout.salts)
        self._secrets = SecretStore(self._layout.signing)
        self._in_flight = InFlight()
        self._receipts = Clock()
        self._failed = False

    async def serve(self, sockets: Sequence[socket.socket], lifeline: int) -> int:
        self._stop = stop_event(lifeline)
        begun = await not_ready.begun(self._begin, self._stop, sockets, self._closed)
        if begun is None:
            return 0
        directory, self._claim = begun
        self._receipts.restart(self._claim.begins_us)
        journal = self._journal(self._claim)
        journal.start()
        chores = [
            asyncio.create_task(self._clear_salts()),
            asyncio.create_task(self._watch_clock(journal)),
            asyncio.create_task(give_back_regularly()),
        ]
        server = self._server(
            self._intake(directory, journal), lambda: self._why_not_ready(journal)
        )
        _spare_what_stays()
        server.listen(sockets)
        self._beats.keep_beating(self._name)
        log.info("collecting", extra={"fields": {"series": self._claim.folder.name}})
        await self._stop.wait()
        await self._drain(server, journal)
        for chore in chores:
            chore.cancel()
        await directory.stop()
        self._claim.release()
        return 1 if self._failed else 0

    async def _begin(self) -> tuple[Directory, Claim]:
        """The directory, read, and a series of the log. Raises NotYet."""
        settings, layout = self._settings, self._layout
        directory = Directory(database(settings), refresh_s=settings.directory_refresh_s)
        try:
            layout.refuse_full_disk()
            await directory.start()
            claim = self._new_claim()
        except (DataFolderError, DirectoryUnavailable, OSError) as error:
            await directory.stop()
            raise NotYet(str(error)) from error
        return directory, claim

    def _new_claim(self) -> Claim:
        """A new series. Raises OSError."""
        return recovery.claim(
            self._layout.log,
            self._layout.log_lock,
            host=socket.gethostname(),
            slot=self._slot,
            now_us=self._receipts.wall_us(),
        )

    def _closed(self, why_not_ready: Callable[[], Sequence[str]]) -> Server:
        return self._server(Closed(), why_not_ready)

    def _server(self, endpoints: Endpoints, why_not_ready: Callable[[], Sequence[str]]) -> Server:
        settings = self._settings
        port = Port(
            routes=ingest_routes(endpoints, self._tally, self._slot),
            clients=ClientAddress(settings.trusted_proxies),
            in_flight=self._in_flight,
            why_not_ready=why_not_ready,
            body_bytes_max=settings.body_bytes_max,
        )
        app = make_app(port)
        if settings.http_server == "fast":
            return FastServer(app, port, connections_max=settings.connections_max)
        return BoundedServer(app, port.clients, connections_max=settings.connections_max)

    def _journal(self, claim: Claim) -> Journal:
        return Journal(
            self._writer(claim),
            self._receipts,
            segment_age_s=self._settings.segment_age_s,
            on_broken=self._journal_broke,
        )

    def _writer(self, claim: Claim) -> SegmentWriter:
        return SegmentWriter(
            claim.folder,
            Position(),
            segment_bytes_max=self._settings.segment_bytes_max,
            disk_free_bytes_min=self._settings.disk_free_bytes_min,
        )

    async def _watch_clock(self, journal: Journal) -> None:
        """Where the system's clock fell far back, go on by its time, in a new series."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(journal.fallen.wait(), _CLOCK_WATCHED_EVERY_S)
            try:
                if self._receipts.has_fallen():
                    await self._change_series(journal, self._receipts.behind_us() / 1e6)
            except (OSError, JournalBroken) as error:
                log.error("the series was not changed", extra={"fields": {"why": str(error)}})
            finally:
                journal.let_go()

    async def _change_series(self, journal: Journal, behind_s: float) -> None:
        old, new = self._claim, await asyncio.to_thread(self._new_claim)
        try:
            await journal.go_on(self._writer(new), new.begins_us)
        except JournalBroken:
            new.release()
            raise
        self._claim = new
        fields = {"behind_s": behind_s, "from": old.folder.name, "to": new.folder.name}
        log.warning("the clock fell back; going on in a new series", extra={"fields": fields})
        await asyncio.to_thread(old.release)

    def _why_not_ready(self, journal: Journal) -> list[str]:
        draining = ["this process is draining"] if self._in_flight.draining else []
        return [
            *draining,
            *journal.why_not_ready(),
            *self._secrets.why_not_ready(),
            *self._beats.why_not_ready(self._name),
        ]

    def _journal_broke(self) -> None:
        self._failed = True
        self._stop.set()

    def _intake(self, directory: Directory, journal: Journal) -> Intake:
        settings, clock = self._settings, self._receipts
        budget = ByteBudget(settings.rejected_bytes_per_min_max)
        rejected = RejectedStream(journal, clock, budget, schema_version=self._contract.version)
        return Intake(
            contract=self._contract,
            directory=directory,
            journal=journal,
            salts=self._salts,
            clock=clock,
            bounds=Bounds(
                body_bytes_max=settings.body_bytes_max,
                occurred_past_max_us=int(settings.occurred_past_max_days * _DAY_US),
                occurred_future_max_us=int(settings.occurred_future_max_s * 1_000_000),
            ),
            gates=Gates.of(self._buckets, clock),
            rejected=rejected,
            secrets=self._secrets,
        )

    async def _clear_salts(self) -> None:
        while True:
            try:
                self._salts.destroy_old(datetime.fromtimestamp(self._clock.now_s(), UTC))
            except OSError as error:
                log.error("old salts were not destroyed", extra={"fields": {"why": str(error)}})
            await asyncio.sleep(_SALTS_CLEARED_EVERY_S)

    async def _drain(self, server: Server, journal: Journal) -> None:
        """Take no new connection, answer what is in flight, seal."""
        server.stop()
        self._in_flight.draining = True
        loop = asyncio.get_running_loop()
        # After a failure the port is served again by another process, once this one has ended.
        deadline_s = loop.time() + (_FAILED_DRAIN_S if self._failed else _DRAIN_S)
        await asyncio.sleep(_POLL_S)  # for requests that are on their way already
        while self._in_flight.requests and loop.time() < deadline_s:
            await asyncio.sleep(_POLL_S)
        await journal.close()
        log.info("drained", extra={"fields": {"cut_off": len(self._in_flight.requests)}})
        await server.cut_off()


def _spare_what_stays() -> None:
    """Keep the cyclic garbage collector from walking, every few thousand requests, all that the
    start has made: it would stop the loop for tens of milliseconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS_MAX, 10, 10)
