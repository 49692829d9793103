"""Ingest requests of the fast server: head and body to a submission, the reply to bytes.

What `collect.IngestHandler` does, without a handler. The endpoint's coroutine runs at once, and on
from each future it waits for, without a task: it may await futures alone, and no deadline of
asyncio's that asks for the current task (`wait_for`, `timeout`; `wait` takes a deadline without).
Those that wait for one future, as the events of a batch do, go on together.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from service.collector.intake import Reply, Submission
from service.collector.signing import signatures
from service.collector.visitors import wants_privacy
from service.web.http.exchange import Peer, Request
from service.web.http.limits import DISCARDED_BYTES_MAX, HEADERS_BYTES_MAX
from service.web.http.wire import Heads, header_lines
from service.web.public.app import ANSWER_HEADERS, TOO_LARGE, IngestRoute, Port
from service.web.responses import log_answer

log = logging.getLogger(__name__)

_SIGNATURE = signatures.HEADER.lower().encode()
_CLOSE = b"Connection: close\r\n\r\n"
_KEEP_ALIVE = b"Connection: Keep-Alive\r\n\r\n"
_FAILED = Reply(500, {"success": False, "message": "Internal Server Error"})

Step = Callable[[], None]


class Ingest:
    """The ingest routes of one server, and what their exchanges have in common."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.heads = Heads(ANSWER_HEADERS)
        self._routes = {one.path.encode(): one for one in port.routes}
        self._waiting: dict[asyncio.Future[Any], list[Step]] = {}

    def open(self, peer: Peer, request: Request) -> IngestExchange | None:
        """The exchange of a POST to one of the routes; None for any other request."""
        route = self._routes.get(request.path) if request.method == b"POST" else None
        return IngestExchange(self, peer, route, request) if route else None

    def after(self, future: asyncio.Future[Any], step: Step) -> None:
        """Take the step when the future is done, before others that come to wait for it."""
        steps = self._waiting.get(future)
        if steps is None:
            steps = self._waiting[future] = []
            future.add_done_callback(self._go_on)
        steps.append(step)

    def _go_on(self, future: asyncio.Future[Any]) -> None:
        for step in self._waiting.pop(future):
            step()


class _Said(NamedTuple):
    """What the head of an ingest request says of its event."""

    content_type: str | None
    content_encoding: str | None
    forwarded_for: str | None
    user_agent: str
    wants_privacy: bool
    signature: str | None

    @classmethod
    def of(cls, request: Request) -> _Said:
        text = request.text
        return cls(
            text(b"content-type"),
            text(b"content-encoding"),
            text(b"x-forwarded-for"),
            text(b"user-agent") or "",
            wants_privacy(text(b"sec-gpc"), text(b"dnt")),
            text(_SIGNATURE),
        )


class IngestExchange:
    """An Exchange of a POST to one of the ingest routes."""

    __slots__ = (
        "_began_s",
        "_body",
        "_body_bytes",
        "_coroutine",
        "_ingest",
        "_peer",
        "_port",
        "_request",
        "_route",
        "answer",
        "closes",
    )

    is_full = is_alone = False

    def __init__(self, ingest: Ingest, peer: Peer, route: IngestRoute, request: Request) -> None:
        port = ingest.port
        self._ingest = ingest
        self._peer = peer
        self._port = port
        self._route = route
        self._request = request
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._began_s = time.monotonic()
        self.answer: bytes | None = None
        self.closes = port.in_flight.draining or not request.keeps_alive
        if request.headers_bytes > HEADERS_BYTES_MAX:
            self._refuse(431, f"Headers must not exceed {HEADERS_BYTES_MAX} bytes")
        elif request.content_length > DISCARDED_BYTES_MAX:
            self._refuse(413, TOO_LARGE.message)
        else:
            port.in_flight.requests.add(self)

    def data(self, chunk: bytes) -> None:
        """See Exchange.data."""
        self._body_bytes += len(chunk)
        if self.answer is not None:
            return
        if self._body_bytes <= self._port.body_bytes_max:
            if not self._body:
                self._body = chunk
            elif isinstance(self._body, bytearray):
                self._body += chunk
            else:
                self._body = bytearray(self._body + chunk)
        elif self._body_bytes > DISCARDED_BYTES_MAX:
            self._refuse(413, TOO_LARGE.message)
            self._peer.answered(self)

    def end(self) -> None:
        """See Exchange.end."""
        if self.answer is None:
            self._coroutine = self._route.endpoint(self._submission())
            self._step()

    def lost(self) -> None:
        """See Exchange.lost. What was submitted is stored all the same."""
        self._port.in_flight.requests.discard(self)

    def _submission(self) -> Submission:
        said = self._request.said
        if not isinstance(said, _Said):
            said = self._request.said = _Said.of(self._request)
        port = self._port
        return Submission(
            bytes(self._body),
            said.content_type,
            said.content_encoding,
            port.clients.resolve(self._peer.address, said.forwarded_for),
            said.user_agent,
            said.wants_privacy,
            TOO_LARGE if self._body_bytes > port.body_bytes_max else None,
            said.signature,
        )

    def _step(self) -> None:
        """Run the endpoint to its next future, or to its end."""
        try:
            awaited = self._coroutine.send(None)
        except StopIteration as ended:
            reply = ended.value
        except Exception as error:  # whatever it is, it is ours, and the client is told so
            log.error("uncaught exception", exc_info=error)
            reply = _FAILED
        else:
            self._wait(awaited)
            return
        self._reply(reply)
        self._peer.answered(self)

    def _wait(self, awaited: Any) -> None:
        """What a task does with what its coroutine waits for."""
        if awaited is None:  # it only lets others run
            asyncio.get_running_loop().call_soon(self._step)
            return
        awaited._asyncio_future_blocking = False
        self._ingest.after(awaited, self._step)

    def _reply(self, reply: Reply) -> None:
        self._port.in_flight.requests.discard(self)
        body = orjson.dumps(reply.body)
        end = b"\r\n"
        if self.closes:
            end = _CLOSE
        elif self._request.version == "1.0":
            end = _KEEP_ALIVE
        self.answer = b"%s%sContent-Length: %d\r\n%s%s" % (
            self._ingest.heads.of(reply.status),
            header_lines(reply.headers) if reply.headers else b"",
            len(body),
            end,
            body,
        )
        self._route.counters.count(reply.status)
        log_answer("POST", self._route.path, reply.status, self._began_s)

    def _refuse(self, status: int, message: str) -> None:
        """Answer before the body was read; the connection is of no more use."""
        self.closes = True
        if self._route.unread is None:
            self._reply(Reply(status, {"success": False, "message": message}))
        else:
            self._reply(Reply(200, self._route.unread))
