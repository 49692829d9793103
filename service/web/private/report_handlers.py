"""The handlers of reports, queries and exports."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import asdict

import orjson
from tornado.iostream import StreamClosedError

from etl import reports
from etl.directory.entries import DirectoryUnavailable
from etl.goals import GoalError
from etl.lake.errors import LakeError, VersionNotFound
from etl.reports import ReportTimeout, TenantForbidden, UnknownReport, export, sandbox
from etl.reports.charts import NoChart
from etl.reports.parameters import ParameterError
from etl.reports.sandbox import CannotConfine, QueryRefused
from service.web.private.access import Access
from service.web.private.fair_queue import Flooding, Overloaded
from service.web.private.handler import PrivateHandler
from service.web.private.metrics import WarehouseMetrics
from service.web.private.report_pool import Rendered, ReportPool

log = logging.getLogger(__name__)

_SQL_BYTES_MAX = 64 << 10
_RETRY_AFTER_S = "5"
_QUESTION_ERRORS = (
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


class QuestionHandler(PrivateHandler):
    """A handler that responds with a result of the pool, or an error that says what to do."""

    def initialize(self, access: Access, pool: ReportPool) -> None:  # type: ignore[override]
        super().initialize(access)
        self.pool = pool

    def query_parameters(self) -> dict[str, str]:
        """Return the parameters of the query string.

        Raises ParameterError if one is repeated, web.HTTPError for text that is not UTF-8.
        """
        arguments = self.request.query_arguments
        repeated = [name for name, texts in arguments.items() if len(texts) > 1]
        if repeated:
            raise ParameterError({name: ["is given more than once."] for name in repeated})
        return {name: self.get_query_argument(name) for name in arguments}

    def send(self, rendered: Rendered) -> None:
        """Send a rendered response and end the request."""
        self.set_header("Content-Type", rendered.content_type)
        if rendered.cursor is not None:
            self.set_header("X-Next-Cursor", rendered.cursor)
        self.finish(rendered.body)

    def send_question_error(self, error: Exception) -> None:
        """Respond with the status and message of one of _QUESTION_ERRORS."""
        message = str(error)
        match error:
            case UnknownReport():
                self.respond(404, {"success": False, "message": message, "reports": error.names})
            case TenantForbidden():
                self.fail(403, message)
            case ParameterError():
                self._send_errors(message, error.errors)
            case VersionNotFound():
                self._send_errors(message, {"version": [message]})
            case QueryRefused() | NoChart():
                self.fail(422, message)
            case ReportTimeout():
                self.fail(504, f"{error}; ask for a shorter period")
            case Flooding():
                self._fail_for_now(429, "Too many questions at once; wait for the answers")
            case LakeError() | DirectoryUnavailable():
                self._fail_for_now(503, self._explain(error))
            case _:
                self._fail_for_now(503, message or "Too many reports are waiting")

    def _send_errors(self, message: str, errors: dict[str, list[str]]) -> None:
        self.respond(422, {"success": False, "message": message, "errors": errors})

    def _fail_for_now(self, status: int, message: str) -> None:
        self.set_header("Retry-After", _RETRY_AFTER_S)
        self.fail(status, message)

    def _explain(self, error: Exception) -> str:
        """Log an error; return its text for an administrator only, because it contains paths."""
        log.error("a question failed", extra={"fields": {"why": str(error)}})
        if self.reader.is_admin:
            return str(error)
        return "This cannot be answered now; the service's log says why."


class ReportListHandler(PrivateHandler):
    """GET /api/v1/reports: the reports with their descriptions and parameters."""

    def get(self) -> None:
        listed = [reports.load(name) for name in reports.names()]
        self.respond(
            200,
            {
                "reports": [
                    {
                        "name": report.name,
                        "about": report.about,
                        "parameters": list(report.parameters),
                    }
                    for report in listed
                ]
            },
        )

    head = get


class GoalListHandler(QuestionHandler):
    """GET /api/v1/goals: the goals of the reader's shop; those of all shops for administrators."""

    async def get(self) -> None:
        try:
            listed = await asyncio.to_thread(self.pool.goals.all)
        except GoalError as error:
            self._fail_for_now(503, self._explain(error))
            return
        theirs = [goal for goal in listed if self.reader.tenant_id in (None, goal.tenant_id)]
        self.respond(200, {"goals": [asdict(goal) for goal in theirs]})

    head = get


class ReportHandler(QuestionHandler):
    """GET /api/v1/reports/<name>: the report's rows, as JSON or in another `format`."""

    def initialize(  # type: ignore[override]
        self, access: Access, pool: ReportPool, metrics: WarehouseMetrics
    ) -> None:
        super().initialize(access, pool)
        self._metrics = metrics

    async def get(self, name: str) -> None:
        try:
            parameters = self.query_parameters()
            self.send(await self.pool.report(name, parameters, self.reader))
        except _QUESTION_ERRORS as error:
            self.send_question_error(error)
        if name in reports.names():
            self._metrics.reported(name, self.get_status(), self.request.request_time())

    head = get


class SqlHandler(QuestionHandler):
    """POST /api/v1/sql {"sql", "limit"?}: one SELECT, for administrators."""

    ALLOWED = ("POST",)
    body_bytes_max = _SQL_BYTES_MAX
    _running: asyncio.Future[Rendered] | None = None
    _is_disconnected = False

    async def post(self) -> None:
        if not self.require_admin() or not self.has_whole_body():
            return
        try:
            sql, rows_max = _parse_query(bytes(self.body))
            self._running = asyncio.ensure_future(self.pool.sql(sql, rows_max, self.reader))
            self.send(await self._running)
        except asyncio.CancelledError:
            if not self._is_disconnected:
                raise
        except _QUESTION_ERRORS as error:
            self.send_question_error(error)

    def on_connection_close(self) -> None:
        """Cancel the query, which kills its process."""
        super().on_connection_close()
        self._is_disconnected = True
        if self._running:
            self._running.cancel()


class ExportHandler(QuestionHandler):
    """GET /api/v1/export/events: the events that a report would count, as they are stored."""

    async def get(self) -> None:
        try:
            parameters = self.query_parameters()
            format_ = export.format_of(parameters)
            self.set_header("Content-Type", export.FORMATS[format_])
            self.set_header("Content-Disposition", f'attachment; filename="events.{format_}"')
            async with aclosing(self.pool.export(parameters, self.reader)) as parts:
                async for part in parts:
                    self.write(part)
                    await self.flush()
        except StreamClosedError:
            return  # the client has gone
        except _QUESTION_ERRORS as error:
            self._send_or_abort(error)
        else:
            self.finish()

    head = get

    def _send_or_abort(self, error: Exception) -> None:
        """Respond with the error, or abort the connection if a part of the export was sent."""
        if self._headers_written:
            log.error("an export was aborted", extra={"fields": {"why": str(error)}})
            self.request.connection.close()  # type: ignore[union-attr]
            return
        self.clear_header("Content-Disposition")
        self.set_header("Content-Type", "application/json")
        self.send_question_error(error)


def _parse_query(body: bytes) -> tuple[str, int]:
    """Return the SQL and the maximum of rows. Raises ParameterError."""
    try:
        query = orjson.loads(body)
    except orjson.JSONDecodeError:
        query = None
    if not isinstance(query, dict) or not isinstance(query.get("sql"), str):
        raise ParameterError({"sql": ['takes a text; send JSON such as {"sql": "SELECT 1"}.']})
    limit = query.get("limit", sandbox.ROWS_MAX)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= sandbox.ROWS_MAX:
        raise ParameterError({"limit": [f"takes a number from 1 to {sandbox.ROWS_MAX}."]})
    return query["sql"], limit
