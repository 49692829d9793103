"""The Tornado application of the private port."""

from __future__ import annotations

from tornado import web

from service.web import openapi
from service.web.health import HealthHandler, Readiness, ReadyHandler
from service.web.private import dashboard
from service.web.private.access import Access
from service.web.private.api_document import private_document
from service.web.private.metrics import WarehouseMetrics
from service.web.private.metrics_app import MetricsHandler
from service.web.private.report_handlers import (
    ExportHandler,
    GoalListHandler,
    ReportHandler,
    ReportListHandler,
    SqlHandler,
)
from service.web.private.report_pool import ReportPool
from service.web.responses import PRIVATE_HEADERS, NotFoundHandler, log_request


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
