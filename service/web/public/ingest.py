"""Ingest requests of the fast server: turn head and body into a submission, and a reply into bytes.

This does the same as `app.IngestHandler`, but without a handler, a coroutine and a task: a reply
that is owed is sent by the callback that settles the batch of the log, for all requests of a batch
in one turn of the loop. Only an endpoint that waits for the directory or the clock costs a task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from service.collector.contract.compression import TOO_LARGE
from service.collector.intake import Outcome, Owed, Reply, Submission, Waiting
from service.collector.signing import signatures
from service.collector.throttle.token_bucket import QuotaHeaders
from service.collector.visitors import is_browser, wants_privacy
from service.web.http.exchange import Peer, RequestHead
from service.web.http.limits import DISCARDED_BYTES_MAX, HEADERS_BYTES_MAX
from service.web.http.response_bytes import ResponseHeads, header_lines
from service.web.public.app import RESPONSE_HEADERS, IngestRoute, Port
from service.web.responses import log_response

log = logging.getLogger(__name__)

_NAMES = (
    *(b"content-type", b"content-encoding", b"x-forwarded-for", b"user-agent"),
    *(b"sec-gpc", b"dnt", signatures.HEADER.lower().encode()),
    *(b"sec-fetch-site", b"sec-fetch-mode", b"origin"),
)
_CLOSE = b"Connection: close\r\n\r\n"
_KEEP_ALIVE = b"Connection: Keep-Alive\r\n\r\n"
_FAILED = Reply(500, {"success": False, "message": "Internal Server Error"})


class Ingest:
    """The ingest routes of one server, and the state that their exchanges share."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.response_heads = ResponseHeads(RESPONSE_HEADERS)
        self._routes = {route.path.encode(): route for route in port.routes}

    def open(self, peer: Peer, head: RequestHead) -> IngestExchange | None:
        """Return the exchange of a POST to one of the routes; None for another request."""
        if isinstance(head.parsed, _EventHeaders):
            return IngestExchange(self, peer, head.parsed.route, head)
        route = self._routes.get(head.path) if head.method == b"POST" else None
        return IngestExchange(self, peer, route, head) if route else None


@dataclass(slots=True)
class _EventHeaders:
    """The route of a request, and the headers that an event depends on."""

    route: IngestRoute
    content_type: str | None
    content_encoding: str | None
    forwarded_for: str | None
    user_agent: str
    wants_privacy: bool
    signature: str | None
    is_browser: bool
    site: str | None

    @classmethod
    def of(cls, route: IngestRoute, head: RequestHead) -> _EventHeaders:
        content_type, encoding, forwarded_for, agent, *others = head.texts(_NAMES)
        gpc, dnt, signature, site, mode, origin = others
        user_agent = agent or ""
        return cls(
            route,
            content_type,
            encoding,
            forwarded_for,
            user_agent,
            wants_privacy(gpc, dnt),
            signature,
            is_browser(site, mode, origin, user_agent),
            origin,
        )


def _lines(headers: Mapping[str, str]) -> bytes:
    if isinstance(headers, QuotaHeaders):
        return headers.lines()
    return header_lines(headers) if headers else b""


class IngestExchange:
    """An Exchange of a POST to one of the ingest routes."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_head",
        "_ingest",
        "_owed",
        "_peer",
        "_port",
        "_route",
        "_started_s",
        "_waiting",
        "closes",
        "response",
    )

    is_full = False
    blocks_pipeline = False

    def __init__(self, ingest: Ingest, peer: Peer, route: IngestRoute, head: RequestHead) -> None:
        port = ingest.port
        self._ingest = ingest
        self._peer = peer
        self._port = port
        self._route = route
        self._head = head
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._started_s = time.monotonic()
        self.response: bytes | None = None
        self.closes = port.in_flight.draining or not head.keeps_alive
        if head.headers_bytes > HEADERS_BYTES_MAX:
            self._reject(431, f"Headers must not exceed {HEADERS_BYTES_MAX} bytes")
        elif head.content_length > DISCARDED_BYTES_MAX:
            self._reject(413, TOO_LARGE.message)
        else:
            port.in_flight.requests.add(self)

    def on_body(self, chunk: bytes) -> None:
        """See Exchange.on_body."""
        self._body_bytes += len(chunk)
        if self.response is not None:
            return
        if self._body_bytes <= self._route.body_bytes_max:
            if not self._body:
                self._body = chunk
            elif isinstance(self._body, bytearray):
                self._body += chunk
            else:
                self._body = bytearray(self._body + chunk)
        elif self._body_bytes > DISCARDED_BYTES_MAX:
            self._reject(413, TOO_LARGE.message)
            self._peer.response_ready(self)

    def on_end(self) -> None:
        """See Exchange.on_end."""
        if self.response is None:
            self._run(self._route.endpoint, self._submission())

    def on_disconnect(self) -> None:
        """See Exchange.on_disconnect. An endpoint that has started still stores its event."""
        self._port.in_flight.requests.discard(self)

    def _submission(self) -> Submission:
        headers = self._head.parsed
        if not isinstance(headers, _EventHeaders):
            headers = self._head.parsed = _EventHeaders.of(self._route, self._head)
        port = self._port
        return Submission(
            bytes(self._body),
            headers.content_type,
            headers.content_encoding,
            port.clients.resolve(self._peer.address, headers.forwarded_for),
            headers.user_agent,
            headers.wants_privacy,
            TOO_LARGE if self._body_bytes > self._route.body_bytes_max else None,
            headers.signature,
            headers.is_browser,
            headers.site,
        )

    def _run(self, step: Callable[[Any], Outcome], value: Any) -> None:
        """Run the endpoint, or a later step of it, and deal with the outcome."""
        outcome: Outcome
        try:
            outcome = step(value)
        except Exception as error:  # any error is a defect: respond 500
            log.error("uncaught exception", exc_info=error)
            outcome = _FAILED
        if isinstance(outcome, Owed):
            self._owed = outcome
            outcome.batch.owe(self._settle)
        elif isinstance(outcome, Waiting):
            self._waiting = asyncio.ensure_future(outcome.awaited)
            self._waiting.add_done_callback(partial(self._resume, outcome.resume))
        else:
            self._send(outcome)

    def _settle(self, error: Exception | None) -> None:
        """Send the owed reply, whose batch is durable, or lost because of `error`."""
        self._send(self._owed.settled(error))

    def _resume(self, step: Callable[[Any], Outcome], waiting: asyncio.Future[Any]) -> None:
        if not waiting.cancelled():  # the process is ending
            self._run(lambda done: step(done.result()), waiting)

    def _send(self, reply: Reply) -> None:
        self._respond(reply)
        self._peer.response_ready(self)

    def _respond(self, reply: Reply) -> None:
        self._port.in_flight.requests.discard(self)
        body = orjson.dumps(reply.body)
        end = b"\r\n"
        if self.closes:
            end = _CLOSE
        elif self._head.version == "1.0":
            end = _KEEP_ALIVE
        self.response = b"%s%sContent-Length: %d\r\n%s%s" % (
            self._ingest.response_heads.get(reply.status),
            _lines(reply.headers),
            len(body),
            end,
            body,
        )
        self._route.counters.count(reply.status)
        log_response("POST", self._route.path, reply.status, self._started_s)

    def _reject(self, status: int, message: str) -> None:
        """Respond before the body is read, and close the connection."""
        self.closes = True
        if self._route.unread is None:
            self._respond(Reply(status, {"success": False, "message": message}))
        else:
            self._respond(Reply(200, self._route.unread[status]))
