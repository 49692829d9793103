"""Tornado's HTTP server within the limits of a public port.

Headers above 8 KiB get a 431 from the application; above 64 KiB the connection is aborted. Input
that is not HTTP gets a 400, and the connection is closed. A client has HEADER_TIMEOUT_S to send the
headers of its first request, then KEEP_ALIVE_S to read each response and send the next request. A
connection above `connections_max`, or above its address's share, evicts an idle one; if none is
idle, it gets a 503 and is closed.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any

from tornado import httputil, iostream, web
from tornado.httpserver import HTTPServer

from service.collector.client import ClientAddress
from service.web.http.connection_limits import ConnectionLimits
from service.web.http.host import is_host
from service.web.http.limits import (
    BODY_TIMEOUT_S,
    HEADER_TIMEOUT_S,
    HEADERS_CUT_BYTES,
    KEEP_ALIVE_S,
)
from service.web.http.response_bytes import BAD_REQUEST, BUSY

_CHUNK_BYTES = 16 << 10
_BODY_CUT_BYTES = 1 << 40
_BARE_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class BoundedServer(HTTPServer):
    """A Server: Tornado's, with a limit of connections and a timeout for each phase."""

    def initialize(  # type: ignore[override]
        self, app: web.Application, clients: ClientAddress, *, connections_max: int
    ) -> None:
        super().initialize(
            app,
            idle_connection_timeout=KEEP_ALIVE_S,
            body_timeout=BODY_TIMEOUT_S,
            max_header_size=HEADERS_CUT_BYTES,
            chunk_size=_CHUNK_BYTES,
            # The application limits bodies itself, so that it can respond.
            max_body_size=_BODY_CUT_BYTES,
        )
        self._next_activity = itertools.count().__next__
        self._limits: ConnectionLimits[_Client] = ConnectionLimits(
            connections_max, clients.share_key
        )
        self._clients: dict[object, _Client] = {}

    def listen(self, sockets: Sequence[socket.socket]) -> None:  # type: ignore[override]
        """See Server.listen."""
        self.add_sockets(sockets)

    async def cut_off(self) -> None:
        """Do nothing: handlers respond with 503 once their tasks are cancelled."""

    def handle_stream(self, stream: iostream.IOStream, address: Any) -> None:
        ip = address[0] if isinstance(address, tuple) else ""
        client = _Client(stream, ip, self._next_activity)
        if not self._limits.admit(client):
            stream.write(BUSY).add_done_callback(lambda _: stream.close())
            return
        _replace_bare_responses(stream)
        client.close_after(HEADER_TIMEOUT_S)
        self._clients[stream] = client
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        delegate = super().start_request(server_conn, request_conn)
        client = self._clients.get(getattr(server_conn, "stream", None))
        return _Request(delegate, request_conn, client) if client else delegate

    def on_close(self, server_conn: object) -> None:
        client = self._clients.pop(getattr(server_conn, "stream", None), None)
        if client:
            client.keep_open()
            self._limits.remove(client)
        super().on_close(server_conn)


class _Client:
    """An Evictable: a connection of Tornado's server."""

    def __init__(
        self, stream: iostream.IOStream, address: str, next_activity: Callable[[], int]
    ) -> None:
        self.address = address
        self.last_activity = next_activity()
        self.is_idle = True
        self._next_activity = next_activity
        self._stream = stream
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone."""
        return self._stream.closed()

    def touch(self) -> None:
        """Record that the client is active."""
        self.last_activity = self._next_activity()

    def close_after(self, timeout_s: float) -> None:
        """Close after `timeout_s`, unless `keep_open` is called before."""
        self.keep_open()
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._stream.close)

    def keep_open(self) -> None:
        """Cancel `close_after`."""
        if self._timer:
            self._timer.cancel()

    def evict(self) -> None:
        """See Evictable.evict."""
        self._stream.close()


def _replace_bare_responses(stream: iostream.IOStream) -> None:
    """Send JSON instead of the bare status line with which Tornado rejects invalid HTTP."""
    write = stream.write

    def write_json(data: bytes | memoryview) -> Future[None]:
        return write(BAD_REQUEST if data == _BARE_BAD_REQUEST else data)

    stream.write = write_json  # type: ignore[method-assign]


class _Request(httputil.HTTPMessageDelegate):
    """A wrapper of the application's delegate that updates the client's deadline and activity."""

    def __init__(
        self,
        delegate: httputil.HTTPMessageDelegate,
        connection: httputil.HTTPConnection,
        client: _Client,
    ) -> None:
        self._delegate = delegate
        self._client = client
        self._is_read = False
        self._start_response = connection.write_headers
        connection.write_headers = self._response_started  # type: ignore[method-assign]
        self._finish_response = connection.finish
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]
        connection.finish = self._response_finished  # type: ignore[method-assign]

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Any:
        self._client.touch()
        self._client.keep_open()
        if self._client.is_closed:  # Tornado would still serve the requests in its buffer
            raise httputil.HTTPInputError("the client has gone")
        if not is_host(headers.get("Host", "")):
            raise httputil.HTTPInputError("invalid Host")
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        self._client.touch()
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._client.is_idle = False
        self._is_read = True
        self._delegate.finish()

    def _response_started(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Future[None]:
        """Announce the end of the connection if the body is unread: Tornado closes it silently."""
        if not self._is_read:
            headers["Connection"] = "close"
        return self._start_response(start_line, headers, chunk)

    def _response_finished(self) -> None:
        self._client.touch()
        self._client.is_idle = True
        self._client.close_after(KEEP_ALIVE_S)
        self._finish_response()
