"""The private app: reports over HTTP, and health.

A report runs in a small pool of threads, each on a live connection of its own that is locked down
to the lake's folder, so a heavy one delays neither another nor the health checks.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tornado import web

from etl import render, reports
from etl.directory_db import DirectoryUnavailable
from etl.lake import LakeError, VersionNotFound
from etl.layout import Layout
from etl.live import LiveView
from etl.parameters import ParameterError
from etl.reports import ReportTimeout, UnknownReport
from service.web.answers import JsonHandler, NotFoundHandler, log_request
from service.web.ops import HealthHandler, ReadyHandler

_THREADS = 2
_WAITING_MAX = 64
_FORMATS = ("json", "csv")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report's answer, ready to send."""

    content_type: str
    body: bytes


class Overloaded(Exception):
    """More reports wait than will be answered in time."""


@dataclass(slots=True)
class ReportDesk:
    """Runs reports for the handlers, a bounded number at a time."""

    view: LiveView
    timeout_s: float
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "reports")
    )
    _waiting: int = 0

    @property
    def waiting(self) -> int:
        """How many reports are not answered yet."""
        return self._waiting

    async def answer(self, name: str, given: Mapping[str, str]) -> Rendered:
        """Raises Overloaded and what `reports.run_locked` and `LiveView.connect` raise."""
        if self._waiting >= _WAITING_MAX:
            raise Overloaded
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._run, name, dict(given))
        finally:
            self._waiting -= 1

    def _run(self, name: str, given: dict[str, str]) -> Rendered:
        reports.load(name)
        form = _pick(given, "format", "json", _FORMATS)
        version = _version(given.pop("version", None))
        con = self.view.connect(version=version)
        try:
            folder = Layout(self.view.data).lake
            result = reports.run_locked(con, name, given, timeout_s=self.timeout_s, lock=folder)
        finally:
            con.close()
        if form == "csv":
            return Rendered("text/csv; charset=utf-8", render.to_csv(result).encode())
        return Rendered("application/json", render.to_json(result))


def _pick(given: dict[str, str], name: str, default: str, choices: Sequence[str]) -> str:
    chosen = given.pop(name, default)
    if chosen not in choices:
        raise ParameterError({name: [f"takes one of {', '.join(choices)}."]})
    return chosen


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ParameterError({"version": ["takes a version of the lake, a whole number."]})
    return int(text)


def make_app(
    desk: ReportDesk, token: str, why_not_ready: Callable[[], Sequence[str]]
) -> web.Application:
    """The Tornado application of the private port; an empty `token` asks for none."""
    private = {"desk": desk, "token": token}
    return web.Application(
        [
            web.url(r"/api/v1/reports/?", ReportListHandler, private),
            web.url(r"/api/v1/reports/([^/]+)", ReportHandler, private),
            web.url(r"/healthz", HealthHandler),
            web.url(r"/readyz", ReadyHandler, {"why_not_ready": why_not_ready}),
        ],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
    )


class PrivateHandler(JsonHandler):
    """A handler that asks for the bearer token, when there is one."""

    def initialize(self, desk: ReportDesk, token: str) -> None:
        self.desk = desk
        self._token = token

    def prepare(self) -> None:
        super().prepare()
        if not self._finished and not self._is_authorized():
            self.set_header("WWW-Authenticate", 'Bearer realm="beaconlog"')
            self.fail(401, "Send the header Authorization: Bearer <reports_token>")

    def _is_authorized(self) -> bool:
        scheme, _, sent = self.request.headers.get("Authorization", "").partition(" ")
        if not self._token:
            return True
        return scheme.lower() == "bearer" and hmac.compare_digest(
            sent.strip().encode(), self._token.encode()
        )


class ReportListHandler(PrivateHandler):
    """GET /api/v1/reports: the reports, what each says, and its parameters."""

    def get(self) -> None:
        listed = [reports.load(name) for name in reports.names()]
        self.answer(
            200,
            {
                "reports": [
                    {"name": item.name, "about": item.text, "parameters": list(item.parameters)}
                    for item in listed
                ]
            },
        )


class ReportHandler(PrivateHandler):
    """GET /api/v1/reports/<name>: its rows as JSON or, with format=csv, as CSV."""

    async def get(self, name: str) -> None:
        given = {key: self.get_query_argument(key) for key in self.request.query_arguments}
        try:
            rendered = await self.desk.answer(name, given)
        except UnknownReport as error:
            self.answer(404, {"success": False, "message": str(error), "reports": error.known})
        except ParameterError as error:
            body = {"success": False, "message": str(error), "errors": error.errors}
            self.answer(422, body)
        except VersionNotFound as error:
            self.answer(422, _version_error(str(error)))
        except ReportTimeout as error:
            self.fail(504, f"{error}; ask for a shorter period")
        except (Overloaded, DirectoryUnavailable, LakeError) as error:
            self.set_header("Retry-After", "5")
            self.fail(503, str(error) or "Too many reports are waiting")
        else:
            self.set_header("Content-Type", rendered.content_type)
            self.set_header("Cache-Control", "no-store")
            self.finish(rendered.body)


def _version_error(message: str) -> dict[str, object]:
    return {"success": False, "message": message, "errors": {"version": [message]}}
