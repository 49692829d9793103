"""A request of the fast server that Tornado's application answers.

Drives the two interfaces of `tornado.httputil` that Tornado's own server drives: the application's
`HTTPMessageDelegate` is given the head, the body as it comes, and the end; its handler writes to
this `HTTPConnection`. An answer is sent whole, when the handler has finished it, so `write` and
`flush` wait for nobody: what streams without end does not belong on this server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from tornado import httputil

from service.web.http.exchange import Peer, Request
from service.web.http.limits import HEADERS_CUT_BYTES
from service.web.http.wire import BAD_REQUEST, INTERNAL_ERROR, STATUS_LINES

log = logging.getLogger(__name__)

_INBOX_BYTES_MAX = HEADERS_CUT_BYTES
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Context:
    """What Tornado asks of a connection."""

    remote_ip: str
    protocol: str = "http"


class TornadoExchange(httputil.HTTPConnection):
    """An Exchange to the connection, a connection to the handler.

    Each is a task and a handler, some 15 KiB, so a connection has one at a time.
    """

    is_alone = True

    def __init__(
        self, peer: Peer, app: httputil.HTTPServerConnectionDelegate, request: Request
    ) -> None:
        self.context = Context(peer.address or "0.0.0.0")  # noqa: S104 (no address is known)
        self.answer: bytes | None = None
        self.closes = not request.keeps_alive
        self._peer = peer
        self._request = request
        self._on_close: Callable[[], object] | None = None
        self._parts: list[bytes] = []
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._inbox_bytes = 0
        self._task = asyncio.get_running_loop().create_task(self._run(app))
        self._task.add_done_callback(self._ended)

    # -- the connection's side ----------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """See Exchange.is_full."""
        return self._inbox_bytes > _INBOX_BYTES_MAX

    def data(self, chunk: bytes) -> None:
        """See Exchange.data."""
        if self.answer is None:
            self._inbox_bytes += len(chunk)
            self._inbox.put_nowait(chunk)

    def end(self) -> None:
        """See Exchange.end."""
        self._inbox.put_nowait(None)

    def lost(self) -> None:
        """See Exchange.lost."""
        self._task.cancel()
        if self._on_close:
            self._on_close()

    # -- the handler's side -------------------------------------------------------------------

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """To be called when the client is gone before it was answered."""
        self._on_close = callback

    def write_headers(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """See HTTPConnection.write_headers."""
        start = cast(httputil.ResponseStartLine, start_line)
        self._code, self._reason, self._headers = start.code, start.reason, headers
        return self.write(chunk or b"")

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """See HTTPConnection.write."""
        self._parts.append(chunk)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written

    def finish(self) -> None:
        """See HTTPConnection.finish."""
        if self.answer is not None:
            return
        body = b"".join(self._parts)
        headers = self._headers
        if headers.get("Connection", "").lower() == "close":
            self.closes = True
        if self.closes:
            headers["Connection"] = "close"
        elif self._request.version == "1.0":
            headers["Connection"] = "Keep-Alive"
        if "Content-Length" not in headers and self._code not in _NO_BODY:
            headers["Content-Length"] = str(len(body))
        lines = "".join([f"{name}: {text}\r\n" for name, text in headers.get_all()])
        head = STATUS_LINES.get(self._code) or f"HTTP/1.1 {self._code} {self._reason}\r\n".encode()
        self.answer = head + lines.encode("latin-1") + b"\r\n" + body
        self._peer.answered(self)

    # -- what is between ----------------------------------------------------------------------

    async def _run(self, app: httputil.HTTPServerConnectionDelegate) -> None:
        request = self._request
        method, target = request.method.decode(), request.target.decode("latin-1")
        start_line = httputil.RequestStartLine(method, target, f"HTTP/{request.version}")
        headers = httputil.HTTPHeaders()
        for name, value in request.fields:
            headers.add(name.decode("latin-1"), value.strip().decode("latin-1"))
        try:
            delegate = app.start_request(self, self)
            await _taken(delegate.headers_received(start_line, headers))
        except httputil.HTTPInputError:
            self._peer.refuse(self, BAD_REQUEST)
            return
        while (chunk := await self._inbox.get()) is not None:
            await _taken(delegate.data_received(chunk))
            self._inbox_bytes -= len(chunk)
            self._peer.drained()
        delegate.finish()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("uncaught exception", exc_info=error)
            self.closes = True
            self._peer.refuse(self, INTERNAL_ERROR)


async def _taken(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result
