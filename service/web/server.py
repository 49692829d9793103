"""Tornado's HTTP server within the limits of a public port.

Header flood: past 8 KiB the application answers 431; past 64 KiB the connection is cut. What is
not HTTP is answered 400 and the connection closed. A new connection has `HEADER_TIMEOUT_S` to send
its first request's headers, a kept-alive one `KEEP_ALIVE_S` until its next. Past `connections_max`
a connection is answered 503 and closed.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from typing import Any

import orjson
from tornado import httputil, iostream, web
from tornado.httpserver import HTTPServer

HEADER_TIMEOUT_S = 10.0
BODY_TIMEOUT_S = 15.0
KEEP_ALIVE_S = 75.0
_HEADERS_CUT_BYTES = 64 << 10
_BODY_CUT_BYTES = 1 << 40


def _last_words(status: str, message: str, *headers: str) -> bytes:
    """A whole answer for a connection that ends with it."""
    body = orjson.dumps({"success": False, "message": message})
    head = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


_BUSY = _last_words("503 Service Unavailable", "Too many connections", "Retry-After: 2")
_BAD_REQUEST = _last_words("400 Bad Request", "The request is not valid HTTP")
_BAD_REQUEST_BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class BoundedServer(HTTPServer):
    """An HTTPServer with a maximum of connections and a timeout for the first headers."""

    def initialize(  # type: ignore[override]
        self, app: web.Application, *, connections_max: int
    ) -> None:
        super().initialize(
            app,
            idle_connection_timeout=KEEP_ALIVE_S,
            body_timeout=BODY_TIMEOUT_S,
            max_header_size=_HEADERS_CUT_BYTES,
            # The application counts bodies itself, to answer them.
            max_body_size=_BODY_CUT_BYTES,
        )
        self._connections_max = connections_max
        self._first_headers: dict[object, asyncio.TimerHandle] = {}

    def handle_stream(self, stream: iostream.IOStream, address: Any) -> None:
        if len(self._connections) >= self._connections_max:
            stream.write(_BUSY).add_done_callback(lambda _: stream.close())
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
        return write(_BAD_REQUEST if data == _BAD_REQUEST_BARE else data)

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


def make_server(app: web.Application, *, connections_max: int) -> BoundedServer:
    """A server for `app`; the caller adds the sockets."""
    return BoundedServer(app, connections_max=connections_max)
