"""The Tornado application of `metrics_port`: metrics and health of a machine that only collects.

It loads neither reports nor a lake, so its process is small.
"""

from __future__ import annotations

import asyncio

from tornado import web

from service.web.health import HealthHandler, Readiness, ReadyHandler
from service.web.private.access import Access
from service.web.private.handler import PrivateHandler
from service.web.private.machine_metrics import MachineMetrics
from service.web.responses import PRIVATE_HEADERS, NotFoundHandler, log_request

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_metrics_app(
    access: Access, metrics: MachineMetrics, readiness: Readiness
) -> web.Application:
    """Return the application."""
    return web.Application(
        [
            web.url(r"/healthz", HealthHandler),
            web.url(r"/readyz", ReadyHandler, {"readiness": readiness}),
            web.url(r"/metrics", MetricsHandler, {"access": access, "metrics": metrics}),
        ],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
        port_headers=PRIVATE_HEADERS,
    )


class MetricsHandler(PrivateHandler):
    """GET /metrics: Prometheus' text format, for administrators."""

    def initialize(  # type: ignore[override]
        self, access: Access, metrics: MachineMetrics
    ) -> None:
        super().initialize(access)
        self._metrics = metrics

    async def get(self) -> None:
        if self.require_admin():
            text = await asyncio.get_running_loop().run_in_executor(None, self._metrics.text)
            self.set_header("Content-Type", _METRICS_TYPE)
            self.finish(text)

    head = get
