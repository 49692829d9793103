"""The process of `metrics_port`: metrics and health of a machine that only collects.

The rules of access are those of the private port, with the same tokens. It has no report, and
loads no lake.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etl.layout import Layout
from etl.log import unshipped
from etl.log.opening import open_store
from service.processes import child, shared_files
from service.processes.child import LogOptions, Stop
from service.processes.names import METRICS
from service.processes.private_port import PrivatePort
from service.shared.request_counters import RequestCounters
from service.shared.state import Shared
from service.web.health import Readiness
from service.web.private.machine_metrics import MachineMetrics
from service.web.private.metrics_app import make_metrics_app


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsStart:
    """The values that the process gets."""

    data: Path
    log_url: str
    shared_url: str
    logs: LogOptions
    port: PrivatePort
    drain_delay_s: float
    counters: RequestCounters
    shared: Shared
    sockets: Sequence[socket.socket]


def run(start: MetricsStart, lifeline: int) -> int:
    """Serve until SIGTERM or the end of the lifeline, and return the exit code."""
    return child.run(METRICS, start.logs, lifeline, partial(_serve, start))


async def _serve(start: MetricsStart, stop: Stop) -> int:
    layout, beats = Layout(start.data.absolute()), start.shared.beats
    tokens, pulling = shared_files.tokens(layout, start.shared_url)
    await pulling.start()
    access = start.port.access(tokens, pulling)
    store = open_store(layout, start.log_url)
    metrics = MachineMetrics(start.data, start.counters, beats, start.shared.throttle, store)
    readiness = Readiness(
        lambda: [*beats.why_not_ready(METRICS), *tokens.why_not_ready()],
        lambda: [*unshipped.problems(layout), *pulling.why_degraded()],
    )
    app = make_metrics_app(access, metrics, readiness)
    server = start.port.server(app, access)
    server.listen(start.sockets)
    beats.keep_beating(METRICS)
    await stop.wait()
    await stop.delay(start.drain_delay_s)
    pulling.stop()
    server.stop()
    return 0
