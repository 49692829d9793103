"""Which processes run: collector workers on the public port, one warehouse on the private one.

Everything that can be wrong at a start is found here, before the first process is made, and
raised as a StartError of one line. The sockets are bound here too and inherited by the processes,
so a port answers from the first moment, and a restarted worker misses no connection. So are the
throttle's buckets: a limit holds over all workers, and outlives each.
"""

from __future__ import annotations

import gc
import logging
import resource
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tornado.netutil import bind_sockets

from etl.directory.entries import DirectoryUnavailable
from etl.layout import DataFolderError, Layout
from etl.log import compatibility
from etl.log.recovery import SeriesFormatError
from etl.trusted_clock import TrustedClock
from service.collector.contract.contract import Contract, SchemaFileError
from service.collector.throttle.gates import Buckets, Limits
from service.collector.throttle.token_bucket import (
    Rate,
    RateSyntaxError,
    parse_bytes_rate,
    parse_rate,
)
from service.processes.supervisor import Role, Supervisor, signals_held
from service.settings import Settings
from service.shared.heartbeat import Heartbeats
from service.shared.request_counters import Tally
from service.shared.state import Shared
from service.web.public import paths

log = logging.getLogger(__name__)

_BACKLOG = 1024
_OTHER_DESCRIPTORS = 256
_WAREHOUSE = "warehouse"


class StartError(Exception):
    """The start is refused; the message is one line that says what to mend."""


def serve(settings: Settings) -> int:
    """Run collectors and the warehouse until told to stop; the exit code."""
    contract = _check_collector(settings)
    tally = _tally(settings)
    shared = _shared(settings, *_worker_names(settings), _WAREHOUSE)
    collectors = partial(_collectors, contract, tally, shared)
    return _run(settings, shared, collectors, partial(_warehouse, tally, shared))


def collect(settings: Settings) -> int:
    """Run the collectors alone."""
    contract = _check_collector(settings)
    shared = _shared(settings, *_worker_names(settings))
    return _run(settings, shared, partial(_collectors, contract, _tally(settings), shared))


def warehouse(settings: Settings) -> int:
    """Run the warehouse alone."""
    _check_data(settings)
    shared = _shared(settings, _WAREHOUSE)
    return _run(settings, shared, partial(_warehouse, None, shared))


@dataclass(frozen=True, slots=True)
class _Port:
    """A port that is bound, and what it is for."""

    what: str
    sockets: Sequence[socket.socket]

    def tell(self) -> None:
        """Log its URL."""
        address, bound = self.sockets[0].getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        fields = {"port": self.what, "url": f"http://{shown}:{bound}"}
        log.info("listening", extra={"fields": fields})


_Bound = tuple[_Port, list[Role]]


def _run(settings: Settings, shared: Shared, *bind_roles: Callable[[Settings], _Bound]) -> int:
    # Held before a port is told, so that whoever reads it may stop us at once, and we drain.
    with signals_held():
        _allow_descriptors(settings.connections_max + _OTHER_DESCRIPTORS)
        all_bound = [bind(settings) for bind in bind_roles]
        for port, _ in all_bound:  # once nothing can be refused any more
            port.tell()
        roles = [role for _, bound in all_bound for role in bound]
        log.info("data", extra={"fields": {"folder": str(settings.data.absolute())}})
        _share_with_children()
        return Supervisor(roles, shared.beats).run()


def _share_with_children() -> None:
    """Keep the children's garbage collectors from writing to, and so copying, every page of what
    the start has made, as the documentation of `gc.freeze` says."""
    gc.freeze()
    gc.enable()  # the command has disabled it


def _collectors(contract: Contract, tally: Tally, shared: Shared, settings: Settings) -> _Bound:
    buckets = _buckets(settings)
    port = _bind(settings.host, settings.port, "public")
    run = partial(_run_worker, settings, contract, buckets, tally, shared)
    names = enumerate(_worker_names(settings))
    return port, [Role(name, partial(run, slot, port.sockets)) for slot, name in names]


def _worker_names(settings: Settings) -> list[str]:
    return [f"worker-{slot}" for slot in range(settings.workers)]


def _shared(settings: Settings, *names: str) -> Shared:
    worker_s = settings.heartbeat_timeout_s
    timeouts_s = {name: worker_s * (3 if name == _WAREHOUSE else 1) for name in names}
    try:
        return Shared(Heartbeats(timeouts_s), TrustedClock())
    except OSError as error:
        raise StartError(f"no shared memory for the heartbeats: {error.strerror}") from error


def _tally(settings: Settings) -> Tally:
    try:
        return Tally(paths.INGEST, settings.workers)
    except OSError as error:
        raise StartError(f"no shared memory for the counters: {error.strerror}") from error


def _buckets(settings: Settings) -> Buckets:
    try:
        return Buckets.shared(_limits(settings), processes=settings.workers)
    except OSError as error:
        raise StartError(f"no shared memory for the throttle: {error.strerror}") from error


def _limits(settings: Settings) -> Limits:
    """What the settings say of throttling. Raises StartError."""
    try:
        return Limits(
            api=parse_rate(settings.throttle_api),
            address=parse_rate(settings.throttle_address),
            address_bytes=_bytes_rate(settings, "throttle_address_bytes"),
            tenant_aware=parse_rate(settings.throttle_tenant_aware),
            tenant_bytes=_bytes_rate(settings, "throttle_tenant_bytes"),
        )
    except RateSyntaxError as error:
        raise StartError(str(error)) from error


def _bytes_rate(settings: Settings, key: str) -> Rate | None:
    rate = parse_bytes_rate(getattr(settings, key))
    if rate is not None and rate.burst < settings.body_bytes_max:
        # One body of that size could never be taken.
        raise StartError(f"the burst of {key} must be at least body_bytes_max")
    return rate


def _warehouse(tally: Tally | None, shared: Shared, settings: Settings) -> _Bound:
    port = _bind(settings.reports_host, settings.reports_port, "reports")
    run = partial(_run_warehouse, settings, tally, shared, port.sockets)
    return port, [Role(_WAREHOUSE, run)]


def _allow_descriptors(wanted: int) -> None:
    """Raise the process' limit of open files to what its connections may come to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise StartError(f"connections_max needs {wanted} open files; ulimit -Hn allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# Each process imports what its role needs and no more.


def _run_worker(  # noqa: PLR0913, PLR0917  (handed on as they are)
    settings: Settings,
    contract: Contract,
    buckets: Buckets,
    tally: Tally,
    shared: Shared,
    slot: int,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    from service.processes import collector  # noqa: PLC0415

    return collector.run(settings, contract, buckets, tally, shared, slot, sockets, lifeline)


def _run_warehouse(
    settings: Settings,
    tally: Tally | None,
    shared: Shared,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    from service.processes import warehouse as role  # noqa: PLC0415

    return role.run(settings, tally, shared, sockets, lifeline)


def _check_collector(settings: Settings) -> Contract:
    _check_data(settings)
    _limits(settings)
    try:
        return Contract.load()
    except SchemaFileError as error:
        raise StartError(str(error)) from error


def _check_data(settings: Settings) -> None:
    layout = Layout(settings.data.absolute())
    try:
        compatibility.refuse_newer(layout)
        layout.prepare()
        layout.refuse_full_disk()
        prepare_directory(settings)
    except (DataFolderError, SeriesFormatError, DirectoryUnavailable) as error:
        raise StartError(str(error)) from error


def prepare_directory(settings: Settings) -> None:
    """Make the directory's tables where they are ours, and see that it can be read."""
    from service.processes.database import database  # noqa: PLC0415

    directory = database(settings)
    try:
        if not settings.directory_tenants_query and not settings.directory_products_query:
            directory.create_tables()
        directory.tenants()
    finally:
        directory.dispose()


def _bind(host: str, port: int, what: str) -> _Port:
    try:
        return _Port(what, bind_sockets(port, address=host, backlog=_BACKLOG))
    except OSError as error:
        raise StartError(f"{what} port {host}:{port}: {error.strerror or error}") from error
