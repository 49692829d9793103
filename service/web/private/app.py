"""The Tornado application of the private port."""

from __future__ import annotations

import asyncio

from tornado import web

from service.web import openapi
from service.web.health import HealthHandler, Readiness, ReadyHandler
from service.web.private import dashboard
from service.web.private.access import Access
from service.web.private.api_document import private_document
from service.web.private.handler import PrivateHandler
from service.web.private.metrics import WarehouseMetrics
from service.web.private.report_handlers import (
    ExportHandler,
    GoalListHandler,
    ReportHandler,
    ReportListHandler,
    SqlHandler,
)
from service.web.private.report_pool import ReportPool
from service.web.responses import PRIVATE_HEADERS, NotFoundHandler, log_request

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_app(
    pool: ReportPool,
    access: Access,
    metrics: WarehouseMetrics,
    readiness: Readiness,
) -> web.Application:
    """Return the application."""
    private = {"access": access}
    questions = {"access": access, "pool": pool}
    measured = {"access": access, "metrics": metrics}
    return web.Application(
        [
            *dashboard.routes(access),
            web.url(r"/api/v1/reports/?", ReportListHandler, private),
            web.url(r"/api/v1/reports/([^/]+)", ReportHandler, questions | measured),
            web.url(r"/api/v1/goals", GoalListHandler, questions),
            web.url(r"/api/v1/sql", SqlHandler, questions),
            web.url(r"/api/v1/export/events", ExportHandler, questions),
            web.url(r"/healthz", HealthHandler),
            web.url(r"/readyz", ReadyHandler, {"readiness": readiness}),
            web.url(r"/metrics", MetricsHandler, measured),
            *openapi.routes(private_document),
        ],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
        port_headers=PRIVATE_HEADERS,
    )


class MetricsHandler(PrivateHandler):
    """GET /metrics: Prometheus' text format, for administrators."""

    def initialize(  # type: ignore[override]
        self, access: Access, metrics: WarehouseMetrics
    ) -> None:
        super().initialize(access)
        self._metrics = metrics

    async def get(self) -> None:
        if self.require_admin():
            text = await asyncio.get_running_loop().run_in_executor(None, self._metrics.text)
            self.set_header("Content-Type", _METRICS_TYPE)
            self.finish(text)

    head = get
