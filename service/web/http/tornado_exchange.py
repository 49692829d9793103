"""An exchange of the fast server whose response comes from a Tornado application.

It calls the interfaces of `tornado.httputil` as Tornado's own server does: it passes the head, the
parts of the body and the end to the application's `HTTPMessageDelegate`, whose handler writes to
this `HTTPConnection`. The response is sent once the handler has finished it, so `write` and `flush`
never wait. Do not use this for a handler that streams without end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from tornado import httputil

from service.web.http.exchange import Peer, RequestHead
from service.web.http.limits import HEADERS_CUT_BYTES
from service.web.http.response_bytes import BAD_REQUEST, INTERNAL_ERROR, STATUS_LINES

log = logging.getLogger(__name__)

_INBOX_BYTES_MAX = HEADERS_CUT_BYTES
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Context:
    """The attributes that Tornado reads from a connection."""

    remote_ip: str
    protocol: str = "http"


class TornadoExchange(httputil.HTTPConnection):
    """An Exchange for the connection, an HTTPConnection for the handler.

    Each one needs a task and a handler, some 15 KiB, so a connection has at most one at a time.
    """

    blocks_pipeline = True

    def __init__(
        self, peer: Peer, app: httputil.HTTPServerConnectionDelegate, head: RequestHead
    ) -> None:
        self.context = Context(peer.address or "0.0.0.0")  # noqa: S104 (the address is unknown)
        self.response: bytes | None = None
        self.closes = not head.keeps_alive
        self._peer = peer
        self._head = head
        self._on_close: Callable[[], object] | None = None
        self._parts: list[bytes] = []
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._inbox_bytes = 0
        self._task = asyncio.get_running_loop().create_task(self._run(app))
        self._task.add_done_callback(self._task_done)

    # -- Exchange -----------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """See Exchange.is_full."""
        return self._inbox_bytes > _INBOX_BYTES_MAX

    def on_body(self, chunk: bytes) -> None:
        """See Exchange.on_body."""
        if self.response is None:
            self._inbox_bytes += len(chunk)
            self._inbox.put_nowait(chunk)

    def on_end(self) -> None:
        """See Exchange.on_end."""
        self._inbox.put_nowait(None)

    def on_disconnect(self) -> None:
        """See Exchange.on_disconnect."""
        self._task.cancel()
        if self._on_close:
            self._on_close()

    # -- HTTPConnection -----------------------------------------------------------------------

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Set the function to call if the client disconnects before it has the response."""
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
        if self.response is not None:
            return
        body = b"".join(self._parts)
        headers = self._headers
        if headers.get("Connection", "").lower() == "close":
            self.closes = True
        if self.closes:
            headers["Connection"] = "close"
        elif self._head.version == "1.0":
            headers["Connection"] = "Keep-Alive"
        if "Content-Length" not in headers and self._code not in _WITHOUT_BODY:
            headers["Content-Length"] = str(len(body))
        lines = "".join([f"{name}: {text}\r\n" for name, text in headers.get_all()])
        head = STATUS_LINES.get(self._code) or f"HTTP/1.1 {self._code} {self._reason}\r\n".encode()
        self.response = head + lines.encode("latin-1") + b"\r\n" + body
        self._peer.response_ready(self)

    # -- its task -----------------------------------------------------------------------------

    async def _run(self, app: httputil.HTTPServerConnectionDelegate) -> None:
        head = self._head
        method, target = head.method.decode(), head.target.decode("latin-1")
        start_line = httputil.RequestStartLine(method, target, f"HTTP/{head.version}")
        headers = httputil.HTTPHeaders()
        for name, value in head.fields:
            headers.add(name.decode("latin-1"), value.strip().decode("latin-1"))
        try:
            delegate = app.start_request(self, self)
            await _maybe_await(delegate.headers_received(start_line, headers))
        except httputil.HTTPInputError:
            self._peer.reject(self, BAD_REQUEST)
            return
        while (chunk := await self._inbox.get()) is not None:
            await _maybe_await(delegate.data_received(chunk))
            self._inbox_bytes -= len(chunk)
            self._peer.resume()
        delegate.finish()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("uncaught exception", exc_info=error)
            self._peer.reject(self, INTERNAL_ERROR)


async def _maybe_await(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result
