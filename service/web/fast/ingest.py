"""An ingest request of the fast server: its head and body to a submission, the reply to bytes.

What `collect.IngestHandler` does, without a handler. The endpoint's coroutine runs at once, and on
from each future it waits for, without a task: it may await futures alone, and no deadline of
asyncio's that asks for the current task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson

from service.collector.intake import Reply, Submission
from service.collector.visitors import wants_privacy
from service.web.answers import log_answer
from service.web.collect import TOO_LARGE, IngestRoute, Port
from service.web.fast.exchange import Peer, Request
from service.web.limits import DISCARDED_BYTES_MAX, HEADERS_BYTES_MAX
from service.web.wire import Heads, header_lines

log = logging.getLogger(__name__)

_CLOSE = b"Connection: close\r\n\r\n"
_KEEP_ALIVE = b"Connection: Keep-Alive\r\n\r\n"
_FAILED = Reply(500, {"success": False, "message": "Internal Server Error"})


class IngestExchange:
    """An Exchange of a POST to one of the ingest routes."""

    __slots__ = (
        "_began_s",
        "_body",
        "_body_bytes",
        "_coroutine",
        "_heads",
        "_peer",
        "_port",
        "_request",
        "_route",
        "answer",
        "closes",
    )

    is_full = False

    def __init__(
        self, peer: Peer, port: Port, route: IngestRoute, request: Request, heads: Heads
    ) -> None:
        self._peer = peer
        self._port = port
        self._route = route
        self._request = request
        self._heads = heads
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._began_s = time.monotonic()
        self.answer: bytes | None = None
        self.closes = port.in_flight.draining or not request.keeps_alive
        port.in_flight.requests.add(self)
        if request.headers_bytes > HEADERS_BYTES_MAX:
            self._refuse(431, f"Headers must not exceed {HEADERS_BYTES_MAX} bytes")
        elif int(request.headers.get(b"content-length", b"0")) > DISCARDED_BYTES_MAX:
            self._refuse(413, TOO_LARGE.message)

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
        text = self._request.text
        return Submission(
            bytes(self._body),
            text(b"content-type"),
            text(b"content-encoding"),
            self._port.clients.resolve(self._peer.address, text(b"x-forwarded-for")),
            text(b"user-agent") or "",
            wants_privacy(text(b"sec-gpc"), text(b"dnt")),
            TOO_LARGE if self._body_bytes > self._port.body_bytes_max else None,
        )

    def _step(self, _: object = None) -> None:
        """Run the endpoint to its next future, or to its end."""
        try:
            awaited = self._coroutine.send(None)
        except StopIteration as ended:
            reply = ended.value
        except Exception as error:  # whatever it is, it is ours, and the client is told so
            log.error("uncaught exception", exc_info=error)
            reply = _FAILED
        else:
            _call_back(awaited, self._step)
            return
        self._reply(reply)
        self._peer.answered(self)

    def _reply(self, reply: Reply) -> None:
        self._port.in_flight.requests.discard(self)
        body = orjson.dumps(reply.body)
        end = b"\r\n"
        if self.closes:
            end = _CLOSE
        elif self._request.version == "1.0":
            end = _KEEP_ALIVE
        self.answer = b"%s%sContent-Length: %d\r\n%s%s" % (
            self._heads.of(reply.status),
            header_lines(reply.headers) if reply.headers else b"",
            len(body),
            end,
            body,
        )
        log_answer("POST", self._route.path, reply.status, self._began_s)

    def _refuse(self, status: int, message: str) -> None:
        """Answer before the body was read; the connection is of no more use."""
        self.closes = True
        if self._route.unread is None:
            self._reply(Reply(status, {"success": False, "message": message}))
        else:
            self._reply(Reply(200, self._route.unread))


def _call_back(awaited: Any, step: Callable[[object], None]) -> None:
    """What a task does with what its coroutine waits for."""
    if awaited is None:  # it only lets others run
        asyncio.get_running_loop().call_soon(step, None)
        return
    awaited._asyncio_future_blocking = False
    awaited.add_done_callback(step)
