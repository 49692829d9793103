"""Start the processes: collectors on the public port, one warehouse on the private port.

All checks are made here, before the first process is forked; a failed one raises a StartError of
one line. Settings are converted here: the processes take plain values.

The processes inherit two things that are created here. The sockets: clients can connect from the
first moment, and a restarted collector loses no connection that waits. The throttle's buckets: a
limit holds over all collectors, and a restart does not reset it.
"""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial

from etl import lake_copies, object_store
from etl.channels.rules import Rules
from etl.directory.entries import DirectoryUnavailable
from etl.layout import DataFolderError, Layout
from etl.log import compatibility
from etl.log.series import SeriesFormatError
from etl.trusted_clock import TrustedClock
from service.collector.context.agents import Agents
from service.collector.contract.contract import Contract
from service.collector.contract.schemas import SchemaFileError
from service.processes import beside, choices, collector, database, limiters
from service.processes.collector import CollectorStart
from service.processes.names import NOT_COLLECTORS, WAREHOUSE, collector_name
from service.processes.ports import BoundPort, StartError, allow_connections, bind
from service.processes.supervisor import (
    DRAIN_TIMEOUT_S,
    ProcessSpec,
    Supervisor,
    signals_held,
)
from service.settings import Settings
from service.shared.heartbeat import Heartbeats
from service.shared.request_counters import RequestCounters
from service.shared.state import Shared
from service.shared.throttle_counters import ThrottleCounters
from service.web.public import paths

__all__ = ["StartError", "collect", "serve", "warehouse"]

log = logging.getLogger(__name__)

_WAREHOUSE_PATIENCE = 3
"""The warehouse's heartbeat timeout, in timeouts of a collector: its threads are busier."""

_Bound = tuple[BoundPort, list[ProcessSpec]]


def serve(settings: Settings) -> int:
    """Run collectors and the warehouse until SIGTERM or SIGINT, and return the exit code."""
    contract = _check_collector(settings)
    counters = _counters(settings)
    shared = _shared(settings, *_names_beside(settings), WAREHOUSE)
    return _run(
        settings,
        shared,
        _collectors(settings, contract, counters, shared),
        partial(_warehouse, settings, counters, shared),
    )


def collect(settings: Settings) -> int:
    """Run the collectors alone; otherwise as `serve`."""
    contract = _check_collector(settings)
    counters = _counters(settings)
    shared = _shared(settings, *_names_beside(settings), *beside.metrics_names(settings))
    binders = [_collectors(settings, contract, counters, shared)]
    if settings.metrics_port:
        binders.append(partial(beside.metrics, settings, counters, shared))
    return _run(settings, shared, *binders)


def warehouse(settings: Settings) -> int:
    """Run the warehouse alone; otherwise as `serve`."""
    _check_data(settings)
    shared = _shared(settings, WAREHOUSE)
    return _run(settings, shared, partial(_warehouse, settings, None, shared))


def _run(settings: Settings, shared: Shared, *binders: Callable[[], _Bound]) -> int:
    # A script may send SIGTERM as soon as it reads the port in the log: block signals first.
    with signals_held():
        allow_connections(settings.connections_max)
        bound = [bind_port() for bind_port in binders]
        for port, _ in bound:  # after the last StartError
            port.log_url()
        log.info("data", extra={"fields": {"folder": str(settings.data.absolute())}})
        processes = [process for _, of_port in bound for process in of_port]
        _share_with_children()
        return Supervisor(
            processes,
            shared.beats,
            listening=[each for port, _ in bound for each in port.sockets],
            drain_timeout_s=DRAIN_TIMEOUT_S + settings.drain_delay_s,
        ).run()


def _share_with_children() -> None:
    """Enable the garbage collector, which the command disabled, for objects created from now on.

    A collection in a child would write to the memory pages of older objects, and so copy them: see
    `gc.freeze`.
    """
    gc.freeze()
    gc.enable()


def _collectors(
    settings: Settings, contract: Contract, counters: RequestCounters, shared: Shared
) -> Callable[[], _Bound]:
    options = choices.collector_options(settings)
    limiter = limiters.limiter(settings, shared.throttle)
    agents = Agents(Rules.load())

    def bind_port() -> _Bound:
        port = bind("public", settings.host, settings.port)
        start = CollectorStart(options, contract, agents, limiter, counters, shared, port.sockets)
        names = enumerate(_collector_names(settings))
        run = partial(collector.run, start)
        specs = [ProcessSpec(name, partial(run, slot)) for slot, name in names]
        return port, [*specs, *beside.shippers(settings, shared)]

    return bind_port


def _warehouse(settings: Settings, counters: RequestCounters | None, shared: Shared) -> _Bound:
    port = bind("reports", settings.reports_host, settings.reports_port)
    run = partial(_run_warehouse, settings, counters, shared, port.sockets)
    return port, [ProcessSpec(WAREHOUSE, run)]


def _run_warehouse(
    settings: Settings,
    counters: RequestCounters | None,
    shared: Shared,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    # Imported in the child: DuckDB and delta-rs must not be loaded before a fork, and no
    # collector needs them.
    from service.processes.warehouse import WarehouseStart, run  # noqa: PLC0415
    from service.processes.warehouse_choices import warehouse_options  # noqa: PLC0415

    return run(WarehouseStart(warehouse_options(settings), counters, shared, sockets), lifeline)


def _collector_names(settings: Settings) -> list[str]:
    return [collector_name(slot) for slot in range(settings.workers)]


def _names_beside(settings: Settings) -> list[str]:
    """Return the names of the collectors and of the processes that serve them."""
    return [*_collector_names(settings), *beside.shipper_names(settings)]


def _shared(settings: Settings, *names: str) -> Shared:
    timeout_s = settings.heartbeat_timeout_s
    timeouts_s = dict.fromkeys(names, timeout_s)
    if WAREHOUSE in timeouts_s:
        timeouts_s[WAREHOUSE] = _WAREHOUSE_PATIENCE * timeout_s
    collectors = [name for name in names if name not in NOT_COLLECTORS]
    has_server = bool(settings.throttle_url and collectors)
    try:
        throttle = ThrottleCounters(collectors) if has_server else None
        return Shared(Heartbeats(timeouts_s), TrustedClock(), throttle)
    except OSError as error:
        raise StartError(f"no shared memory for the heartbeats: {error.strerror}") from error


def _counters(settings: Settings) -> RequestCounters:
    try:
        return RequestCounters(paths.INGEST, settings.workers)
    except OSError as error:
        raise StartError(f"no shared memory for the counters: {error.strerror}") from error


def _check_collector(settings: Settings) -> Contract:
    _check_data(settings)
    choices.rate_limits(settings)
    try:
        return Contract.load()
    except SchemaFileError as error:
        raise StartError(str(error)) from error


def _check_data(settings: Settings) -> None:
    """Prepare the data folder, and check that the directory can be read. Raises StartError."""
    layout = Layout(settings.data.absolute())
    try:
        compatibility.refuse_newer(layout)
        layout.prepare()
        layout.refuse_full_disk()
        _check_urls(layout, settings)
        lake_copies.require(layout, settings.lake_url)
        database.prepare(settings)
    except (DataFolderError, SeriesFormatError, DirectoryUnavailable) as error:
        raise StartError(str(error)) from error


def _check_urls(layout: Layout, settings: Settings) -> None:
    """Check that object storage can be used, which need not answer now. Raises StartError."""
    if (settings.log_url or settings.lake_url) and not object_store.is_installed():
        raise StartError(object_store.NOT_INSTALLED)
    if object_store.overlap(settings.log_url, settings.lake_url):
        raise StartError(object_store.OVERLAP)
    if not settings.log_url:
        layout.shipping.unlink(missing_ok=True)  # nothing is shipped any more
