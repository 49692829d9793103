"""Tornado's HTTP server within the limits of a public port, and what any server here can do.

Header flood: past 8 KiB the application answers 431; past 64 KiB the connection is cut. What is
not HTTP is answered 400 and the connection closed. A new connection has `HEADER_TIMEOUT_S` to send
its first request's headers, a kept-alive one `KEEP_ALIVE_S` until its next. Past `connections_max`
a connection is answered 503 and closed.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tornado import httputil, iostream, web
from tornado.httpserver import HTTPServer

from service.web.limits import (
    BODY_TIMEOUT_S,
    HEADER_TIMEOUT_S,
    HEADERS_CUT_BYTES,
    KEEP_ALIVE_S,
)
from service.web.wire import BAD_REQUEST, BUSY

_BODY_CUT_BYTES = 1 << 40
_BAD_REQUEST_BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class Server(Protocol):
    """An HTTP server that may be stopped in steps."""

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on these, which are the server's from now on."""

    def stop(self) -> None:
        """Accept no more and close what it listened on; connections stay."""

    async def close_all_connections(self) -> None:
        """Close them, whatever they wait for."""

    async def cut_off(self) -> None:
        """The process ends: tell whoever still waits to send the event again."""


class BoundedServer(HTTPServer):
    """An HTTPServer with a maximum of connections and a timeout for the first headers."""

    def initialize(  # type: ignore[override]
        self, app: web.Application, *, connections_max: int
    ) -> None:
        super().initialize(
            app,
            idle_connection_timeout=KEEP_ALIVE_S,
            body_timeout=BODY_TIMEOUT_S,
            max_header_size=HEADERS_CUT_BYTES,
            # The application counts bodies itself, to answer them.
            max_body_size=_BODY_CUT_BYTES,
        )
        self._connections_max = connections_max
        self._first_headers: dict[object, asyncio.TimerHandle] = {}

    def listen(self, sockets: Sequence[socket.socket]) -> None:  # type: ignore[override]
        """See Server.listen."""
        self.add_sockets(sockets)

    async def cut_off(self) -> None:
        """See Server.cut_off: the handlers do, once their tasks are cancelled."""

    def handle_stream(self, stream: iostream.IOStream, address: Any) -> None:
        if len(self._connections) >= self._connections_max:
            stream.write(BUSY).add_done_callback(lambda _: stream.close())
            return
        _explain_bad_requests(stream)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(HEADER_TIMEOUT_S, stream.close)
        self._first_headers[stream] = timer
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        delegate = super().start_request(server_conn, request_conn)
        stream = getattr(server_conn, "stream", None)
        return _HeadersSeen(delegate, lambda: self._cancel(stream))

    def on_close(self, server_conn: object) -> None:
        self._cancel(getattr(server_conn, "stream", None))
        super().on_close(server_conn)

    def _cancel(self, stream: object) -> None:
        timer = self._first_headers.pop(stream, None)
        if timer:
            timer.cancel()


def _explain_bad_requests(stream: iostream.IOStream) -> None:
    """Every answer is JSON; Tornado's own, to what it cannot parse, is a bare status line."""
    write = stream.write

    def explained(data: bytes | memoryview) -> Future[None]:
        return write(BAD_REQUEST if data == _BAD_REQUEST_BARE else data)

    stream.write = explained  # type: ignore[method-assign]


class _HeadersSeen(httputil.HTTPMessageDelegate):
    """Passes everything on, and tells when headers have arrived whole."""

    def __init__(self, inner: httputil.HTTPMessageDelegate, seen: Callable[[], None]) -> None:
        self._inner = inner
        self._seen = seen
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.finish = inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Any:
        self._seen()
        return self._inner.headers_received(start_line, headers)
