"""The private app: reports, queries and exports over HTTP, and health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Protocol

import orjson
from tornado import web
from tornado.iostream import StreamClosedError

from etl import reports
from etl.directory.entries import DirectoryUnavailable
from etl.lake.errors import LakeError, VersionNotFound
from etl.reports import ReportTimeout, TenantForbidden, UnknownReport, export, sandbox
from etl.reports.charts import NoChart
from etl.reports.parameters import ParameterError
from etl.reports.sandbox import CannotConfine, QueryRefused
from service.web import openapi
from service.web.health import HealthHandler, ReadyHandler
from service.web.private import dashboard
from service.web.private.access import Access, PrivateHandler
from service.web.private.api_document import private_document
from service.web.private.fair_queue import Flooding, Overloaded
from service.web.private.report_pool import Rendered, ReportPool
from service.web.responses import PRIVATE_HEADERS, NotFoundHandler, log_request

log = logging.getLogger(__name__)

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SQL_BYTES_MAX = 64 << 10
_ANSWERED = (
    NoChart,
    TenantForbidden,
    UnknownReport,
    ParameterError,
    VersionNotFound,
    QueryRefused,
    ReportTimeout,
    Overloaded,
    DirectoryUnavailable,
    LakeError,
    CannotConfine,
)


class Metrics(Protocol):
    """What the private port tells of itself, and where its reports are counted."""

    def reported(self, name: str, status: int, took_s: float) -> None:
        """A report that exists was answered."""

    def text(self) -> bytes:
        """All of it in Prometheus' text format; not for an event loop."""


def make_app(
    pool: ReportPool,
    access: Access,
    metrics: Metrics,
    why_not_ready: Callable[[], Sequence[str]],
) -> web.Application:
    """The Tornado application of the private port."""
    private = {"access": access}
    asking = {"access": access, "pool": pool}
    measured = {"access": access, "metrics": metrics}
    return web.Application(
        [
            *dashboard.routes(access),
            web.url(r"/api/v1/reports/?", ReportListHandler, private),
            web.url(r"/api/v1/reports/([^/]+)", ReportHandler, asking | {"metrics": metrics}),
            web.url(r"/api/v1/sql", SqlHandler, asking),
            web.url(r"/api/v1/export/events", ExportHandler, asking),
            web.url(r"/healthz", HealthHandler),
            web.url(r"/readyz", ReadyHandler, {"why_not_ready": why_not_ready}),
            web.url(r"/metrics", MetricsHandler, measured),
            *openapi.routes(private_document),
        ],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
        port_headers=PRIVATE_HEADERS,
    )


class AskingHandler(PrivateHandler):
    """A handler whose answers come from the pool, or an error that says what to do."""

    def initialize(self, access: Access, pool: ReportPool) -> None:  # type: ignore[override]
        super().initialize(access)
        self.pool = pool

    def send(self, rendered: Rendered) -> None:
        """Send an answer, which nobody keeps."""
        self.set_header("Content-Type", rendered.content_type)
        self.finish(rendered.body)

    def tell(self, error: Exception) -> None:
        """Answer with one of the errors of _ANSWERED."""
        match error:
            case UnknownReport():
                self.answer(404, {"success": False, "message": str(error), "reports": error.names})
            case TenantForbidden():
                self.fail(403, str(error))
            case ParameterError():
                body = {"success": False, "message": str(error), "errors": error.errors}
                self.answer(422, body)
            case VersionNotFound():
                errors = {"version": [str(error)]}
                self.answer(422, {"success": False, "message": str(error), "errors": errors})
            case QueryRefused() | NoChart():
                self.fail(422, str(error))
            case ReportTimeout():
                self.fail(504, f"{error}; ask for a shorter period")
            case Flooding():
                self.set_header("Retry-After", "5")
                self.fail(429, "Too many questions at once; wait for the answers")
            case LakeError() | DirectoryUnavailable():
                self.set_header("Retry-After", "5")
                self.fail(503, self._explained(error))
            case _:
                self.set_header("Retry-After", "5")
                self.fail(503, str(error) or "Too many reports are waiting")

    def _explained(self, error: Exception) -> str:
        """Log what failed on this machine; only an administrator is told of its paths."""
        log.error("a question was not answered", extra={"fields": {"why": str(error)}})
        if self.reader.is_admin:
            return str(error)
        return "This cannot be answered now; the service's log says why."


class ReportListHandler(PrivateHandler):
    """GET /api/v1/reports: the reports, what each says, and its parameters."""

    def get(self) -> None:
        listed = [reports.load(name) for name in reports.names()]
        self.answer(
            200,
            {
                "reports": [
                    {"name": item.name, "about": item.about, "parameters": list(item.parameters)}
                    for item in listed
                ]
            },
        )

    head = get


class ReportHandler(AskingHandler):
    """GET /api/v1/reports/<name>: its rows, as JSON or in another `format`."""

    def initialize(  # type: ignore[override]
        self, access: Access, pool: ReportPool, metrics: Metrics
    ) -> None:
        super().initialize(access, pool)
        self._metrics = metrics

    async def get(self, name: str) -> None:
        try:
            given = self.query_parameters()
            self.send(await self.pool.report(name, given, self.reader))
        except _ANSWERED as error:
            self.tell(error)
        if name in reports.names():
            self._metrics.reported(name, self.get_status(), self.request.request_time())

    head = get


class MetricsHandler(PrivateHandler):
    """GET /metrics: Prometheus' text format, for administrators."""

    def initialize(self, access: Access, metrics: Metrics) -> None:  # type: ignore[override]
        super().initialize(access)
        self._metrics = metrics

    async def get(self) -> None:
        if self.require_admin():
            text = await asyncio.get_running_loop().run_in_executor(None, self._metrics.text)
            self.set_header("Content-Type", _METRICS_TYPE)
            self.finish(text)

    head = get


class SqlHandler(AskingHandler):
    """POST /api/v1/sql {"sql", "limit"?}: one SELECT, for administrators."""

    ALLOWED = ("POST",)
    body_bytes_max = _SQL_BYTES_MAX
    _running: asyncio.Future[Rendered] | None = None
    _is_gone = False

    async def post(self) -> None:
        if not self.require_admin() or not self.has_whole_body():
            return
        try:
            sql, rows_max = _query_of(bytes(self.body))
            self._running = asyncio.ensure_future(self.pool.sql(sql, rows_max, self.reader))
            self.send(await self._running)
        except asyncio.CancelledError:
            if not self._is_gone:
                raise
        except _ANSWERED as error:
            self.tell(error)

    def on_connection_close(self) -> None:
        """Nobody waits for the answer: its process ends."""
        self._is_gone = True
        if self._running:
            self._running.cancel()


class ExportHandler(AskingHandler):
    """GET /api/v1/export/events: the events a report would count, as they are stored."""

    async def get(self) -> None:
        try:
            given = self.query_parameters()
            form = export.format_of(given)
            self.set_header("Content-Type", export.FORMATS[form])
            self.set_header("Content-Disposition", f'attachment; filename="events.{form}"')
            async with aclosing(self.pool.export(given, self.reader)) as parts:
                async for part in parts:
                    self.write(part)
                    await self.flush()
        except StreamClosedError:
            return  # nobody reads on
        except _ANSWERED as error:
            self._tell_if_unsent(error)
        else:
            self.finish()

    head = get

    def _tell_if_unsent(self, error: Exception) -> None:
        """An error after the first part can only be told by an answer that ends too early."""
        if self._headers_written:
            log.error("an export was cut off", extra={"fields": {"why": str(error)}})
            self.request.connection.close()  # type: ignore[union-attr]
            return
        self.clear_header("Content-Disposition")
        self.set_header("Content-Type", "application/json")
        self.tell(error)


def _query_of(body: bytes) -> tuple[str, int]:
    """Raises ParameterError."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        sent = None
    if not isinstance(sent, dict) or not isinstance(sent.get("sql"), str):
        raise ParameterError({"sql": ['takes a text; send JSON such as {"sql": "SELECT 1"}.']})
    limit = sent.get("limit", sandbox.ROWS_MAX)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= sandbox.ROWS_MAX:
        raise ParameterError({"limit": [f"takes a number from 1 to {sandbox.ROWS_MAX}."]})
    return sent["sql"], limit
