"""The public app: the three ingest endpoints, health, and what HTTP itself can get wrong.

A handler turns a request into a `Submission`, asks the intake, and writes its `Reply`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tornado import httputil, web
from tornado.routing import URLSpec

from service.collector.client import ClientAddress
from service.collector.intake import Endpoints, Reply, Submission
from service.collector.rejection import Rejection
from service.collector.visitors import wants_privacy
from service.web.answers import JsonHandler, NotFoundHandler, log_request
from service.web.ops import HealthHandler, ReadyHandler

CORS_MAX_AGE_S = 600

_RETRY_AFTER_S = 2
_TOO_LARGE = Rejection("body-too-large", 413, "The body is too large.")
_SKIPPED = {"status": "skipped", "transaction_id": None}

Endpoint = Callable[[Submission], Awaitable[Reply]]


@dataclass(slots=True)
class InFlight:
    """The requests that have begun and not ended, and whether the worker is draining."""

    requests: set[web.RequestHandler] = field(default_factory=set)
    draining: bool = False


def make_app(
    intake: Endpoints,
    clients: ClientAddress,
    in_flight: InFlight,
    why_not_ready: Callable[[], Sequence[str]],
    body_bytes_max: int,
) -> web.Application:
    """The Tornado application of the public port."""
    ready = {"why_not_ready": why_not_ready}

    def ingest(
        path: str, endpoint: Endpoint, unread: Mapping[str, object] | None = None
    ) -> URLSpec:
        parts = {
            "endpoint": endpoint,
            "unread": unread,
            "clients": clients,
            "in_flight": in_flight,
            "body_bytes_max": body_bytes_max,
        }
        return web.url(path, IngestHandler, parts)

    return web.Application(
        [
            ingest(r"/api/v1/analytics/track", intake.track),
            ingest(r"/api/v1/analytics/conversion", intake.conversion, _SKIPPED),
            ingest(r"/api/v1/interactions", intake.interactions),
            web.url(r"/healthz", HealthHandler),
            web.url(r"/readyz", ReadyHandler, ready),
        ],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
    )


class IngestHandler(JsonHandler):
    """POST one event. Any origin may, without credentials.

    `unread` is the 200 of an endpoint that never tells a page of a request it could not read.
    """

    ALLOWED = ("POST", "OPTIONS")

    def initialize(
        self,
        endpoint: Endpoint,
        unread: Mapping[str, object] | None,
        clients: ClientAddress,
        in_flight: InFlight,
        body_bytes_max: int,
    ) -> None:
        self._endpoint = endpoint
        self._unread = unread
        self._clients = clients
        self._in_flight = in_flight
        self.body_bytes_max = body_bytes_max

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header(
            "Access-Control-Expose-Headers",
            "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset",
        )

    def prepare(self) -> None:
        self._in_flight.requests.add(self)
        if self._in_flight.draining:
            self.set_header("Connection", "close")
        super().prepare()

    def refuse(self, status: int, message: str) -> None:
        if self._unread is None or self.request.method != "POST":
            super().refuse(status, message)
        else:
            self.set_header("Connection", "close")
            self.answer(200, self._unread)

    def write_error(self, status_code: int, **details: object) -> None:
        if self._in_flight.draining and status_code == 500:
            # Cancelled by the end of the process, before it had all of its body.
            self.set_header("Retry-After", str(_RETRY_AFTER_S))
            self.fail(503, "The service is stopping; send the event again.")
        else:
            super().write_error(status_code, **details)

    def on_finish(self) -> None:
        self._in_flight.requests.discard(self)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._in_flight.requests.discard(self)

    def options(self) -> None:
        self.set_header("Access-Control-Allow-Methods", ", ".join(self.ALLOWED))
        self.set_header("Access-Control-Allow-Headers", "Content-Type, Content-Encoding")
        self.set_header("Access-Control-Max-Age", str(CORS_MAX_AGE_S))
        self.set_status(204)

    async def post(self) -> None:
        reply = await self._endpoint(self._submission())
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self.answer(reply.status, reply.body)

    def _submission(self) -> Submission:
        headers = self.request.headers
        too_large = self.body_bytes > self.body_bytes_max
        return Submission(
            body=bytes(self.body),
            content_type=headers.get("Content-Type"),
            content_encoding=headers.get("Content-Encoding"),
            ip=self._client_ip(headers),
            user_agent=headers.get("User-Agent", ""),
            wants_privacy=wants_privacy(headers.get("Sec-GPC"), headers.get("DNT")),
            refused=_TOO_LARGE if too_large else None,
        )

    def _client_ip(self, headers: httputil.HTTPHeaders) -> str:
        # remote_ip is the peer's: the server runs without xheaders, which would trust anyone.
        peer = self.request.remote_ip or ""
        return self._clients.resolve(peer, headers.get("X-Forwarded-For"))
