"""The processes beside the collectors: the shipper, and the one that serves `metrics_port`.

Both are imported in the child: the threads of the shipper's client must not be started before a
fork, and no collector needs what they load.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

from service.processes import choices
from service.processes.names import METRICS, SHIPPER
from service.processes.ports import BoundPort, bind
from service.processes.supervisor import ProcessSpec
from service.settings import Settings
from service.shared.request_counters import RequestCounters
from service.shared.state import Shared


def shipper_names(settings: Settings) -> list[str]:
    """Return the name of the shipper, if segments go to object storage."""
    return [SHIPPER] if settings.log_url else []


def metrics_names(settings: Settings) -> list[str]:
    """Return the name of the process that serves `metrics_port`, if there is one."""
    return [METRICS] if settings.metrics_port else []


def shippers(settings: Settings, shared: Shared) -> list[ProcessSpec]:
    """Return the process that ships what the collectors seal, if it goes to object storage."""
    if not settings.log_url:
        return []
    return [ProcessSpec(SHIPPER, partial(_run_shipper, settings, shared))]


def _run_shipper(settings: Settings, shared: Shared, lifeline: int) -> int:
    # Imported in the child: the client's threads must not be started before a fork.
    from service.processes.shipper import ShipperStart, run  # noqa: PLC0415

    start = ShipperStart(
        data=settings.data,
        log_url=settings.log_url,
        grace_s=settings.segment_grace_s,
        drain_delay_s=settings.drain_delay_s,
        logs=choices.log_options(settings),
        shared=shared,
    )
    return run(start, lifeline)


def metrics(
    settings: Settings, counters: RequestCounters, shared: Shared
) -> tuple[BoundPort, list[ProcessSpec]]:
    """Bind `metrics_port`, and return it with the process that serves it."""
    port = bind(METRICS, settings.reports_host, settings.metrics_port)
    run = partial(_run_metrics, settings, counters, shared, port.sockets)
    return port, [ProcessSpec(METRICS, run)]


def _run_metrics(
    settings: Settings,
    counters: RequestCounters,
    shared: Shared,
    sockets: Sequence[socket.socket],
    lifeline: int,
) -> int:
    # Imported in the child: no collector needs it.
    from service.processes.metrics_port import MetricsStart, run  # noqa: PLC0415

    start = MetricsStart(
        data=settings.data,
        log_url=settings.log_url,
        shared_url=settings.shared_url,
        logs=choices.log_options(settings),
        port=choices.private_port(settings),
        drain_delay_s=settings.drain_delay_s,
        counters=counters,
        shared=shared,
        sockets=sockets,
    )
    return run(start, lifeline)
