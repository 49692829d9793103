"""The Tornado application of the public port: ingest endpoints, tracker and health.

A handler turns a request into a `Submission`, calls the endpoint, and awaits its `Reply`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tornado import httputil, web

from service.collector.client import ClientAddress
from service.collector.contract.compression import TOO_LARGE
from service.collector.intake import EndpointFunction, Endpoints, Submission, reply_of
from service.collector.signing import signatures
from service.collector.visitors import is_browser, wants_privacy
from service.shared.request_counters import RequestCounters, RouteCounters
from service.web import openapi
from service.web.health import HealthHandler, Readiness, ReadyHandler
from service.web.public.api_document import public_document
from service.web.public.paths import BATCH, CONVERSION, INTERACTIONS, TRACK
from service.web.public.tracker import BeaconHandler, load_script
from service.web.responses import JSON_HEADERS, JsonHandler, NotFoundHandler, log_request

CORS_MAX_AGE_S = 600

_SKIPPED = {
    status: {"status": "skipped", "transaction_id": None, "reason": reason}
    for status, reason in ((413, TOO_LARGE.slug), (431, "headers-too-large"))
}

RESPONSE_HEADERS = {
    **JSON_HEADERS,
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
    ),
}
_RETRY_AFTER_S = 2


@dataclass(slots=True)
class InFlight:
    """The requests in flight, and whether the worker drains."""

    requests: set[object] = field(default_factory=set)
    draining: bool = False


class BodyLimits(NamedTuple):
    """The largest bodies of one event and of a batch, in bytes."""

    event_bytes_max: int
    batch_bytes_max: int


@dataclass(frozen=True, slots=True)
class IngestRoute:
    """A path that takes events, in bodies of this size; `counters` count its responses.

    `unread` is for an endpoint that must not disturb its page: a request that cannot be read gets
    a 200 with the body for the status of the error. None: it gets the error.
    """

    path: str
    endpoint: EndpointFunction
    counters: RouteCounters
    body_bytes_max: int
    unread: Mapping[int, Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """The values that the public port needs, on either server."""

    routes: Sequence[IngestRoute]
    clients: ClientAddress
    in_flight: InFlight
    readiness: Readiness


def ingest_routes(
    intake: Endpoints, counters: RequestCounters, slot: int, limits: BodyLimits
) -> list[IngestRoute]:
    """Return the routes of the endpoints, counted in one slot of `counters`."""
    event, batch = limits
    return [
        IngestRoute(TRACK, intake.track, counters.route(TRACK, slot), event),
        IngestRoute(
            CONVERSION, intake.conversion, counters.route(CONVERSION, slot), event, _SKIPPED
        ),
        IngestRoute(INTERACTIONS, intake.interactions, counters.route(INTERACTIONS, slot), event),
        IngestRoute(BATCH, intake.batch, counters.route(BATCH, slot), batch),
    ]


def make_app(port: Port) -> web.Application:
    """Return the Tornado application of the public port."""
    return web.Application(
        [
            *(
                web.url(route.path, IngestHandler, {"port": port, "route": route})
                for route in port.routes
            ),
            web.url(r"/beacon\.js", BeaconHandler, {"script": load_script()}),
            web.url(r"/healthz", HealthHandler),
            web.url(r"/readyz", ReadyHandler, {"readiness": port.readiness}),
            *openapi.routes(public_document),
        ],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
    )


class IngestHandler(JsonHandler):
    """POST of an event or a batch, from any origin, without credentials."""

    ALLOWED = ("POST", "OPTIONS")

    def initialize(self, port: Port, route: IngestRoute) -> None:
        self._route = route
        self._clients = port.clients
        self._in_flight = port.in_flight
        self.body_bytes_max = route.body_bytes_max
        # Here and not in prepare(), which may run only after the client has disconnected.
        self._in_flight.requests.add(self)

    def set_default_headers(self) -> None:
        super().set_default_headers()
        for name, text in RESPONSE_HEADERS.items():
            self.set_header(name, text)

    def prepare(self) -> None:
        if self._in_flight.draining:
            self.set_header("Connection", "close")
        super().prepare()

    def reject(self, status: int, message: str) -> None:
        if self._route.unread is None or self.request.method != "POST":
            super().reject(status, message)
        else:
            self.set_header("Connection", "close")
            self.respond(200, self._route.unread[status])

    def write_error(self, status_code: int, **details: object) -> None:
        if self._in_flight.draining and status_code == 500:
            # The process is ending: Tornado cancelled the request before its body was complete.
            self.set_header("Retry-After", str(_RETRY_AFTER_S))
            self.fail(503, "The service is stopping; send the event again.")
        else:
            super().write_error(status_code, **details)

    def on_finish(self) -> None:
        self._route.counters.count(self.get_status())
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
        reply = await reply_of(self._route.endpoint(self._submission()))
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self.respond(reply.status, reply.body)

    def _submission(self) -> Submission:
        headers = self.request.headers
        too_large = self.body_bytes > self.body_bytes_max
        user_agent = headers.get("User-Agent", "")
        fetched = headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Mode")
        site = headers.get("Origin")
        return Submission(
            body=bytes(self.body),
            content_type=headers.get("Content-Type"),
            content_encoding=headers.get("Content-Encoding"),
            ip=self._client_ip(headers),
            user_agent=user_agent,
            wants_privacy=wants_privacy(headers.get("Sec-GPC"), headers.get("DNT")),
            rejection=TOO_LARGE if too_large else None,
            signature=headers.get(signatures.HEADER),
            is_browser=is_browser(*fetched, site, user_agent),
            site=site,
        )

    def _client_ip(self, headers: httputil.HTTPHeaders) -> str:
        # remote_ip is that of the peer: the server runs without xheaders, which trusts any proxy.
        peer = self.request.remote_ip or ""
        return self._clients.resolve(peer, headers.get("X-Forwarded-For"))
