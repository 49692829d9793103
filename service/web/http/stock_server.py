"""Tornado's HTTP server within the limits of a public port, and what any server here can do.

Header flood: past 8 KiB the application answers 431; past 64 KiB the connection is cut. What is
not HTTP is answered 400 and the connection closed. A new connection has `HEADER_TIMEOUT_S` to send
its first request's headers, a kept-alive one `KEEP_ALIVE_S` to read its answer and until its next.
Past `connections_max` or its address's share of them a connection takes the place of an idle one;
where there is none it is answered 503 and closed.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tornado import httputil, iostream, web
from tornado.httpserver import HTTPServer

from service.collector.client import ClientAddress
from service.web.http.host import is_host
from service.web.http.limits import (
    BODY_TIMEOUT_S,
    HEADER_TIMEOUT_S,
    HEADERS_CUT_BYTES,
    KEEP_ALIVE_S,
)
from service.web.http.places import Places
from service.web.http.wire import BAD_REQUEST, BUSY

_CHUNK_BYTES = 16 << 10
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
    """An HTTPServer with places for connections, and a timeout for each thing a client owes."""

    def initialize(  # type: ignore[override]
        self, app: web.Application, clients: ClientAddress, *, connections_max: int
    ) -> None:
        super().initialize(
            app,
            idle_connection_timeout=KEEP_ALIVE_S,
            body_timeout=BODY_TIMEOUT_S,
            max_header_size=HEADERS_CUT_BYTES,
            chunk_size=_CHUNK_BYTES,
            # The application counts bodies itself, to answer them.
            max_body_size=_BODY_CUT_BYTES,
        )
        self._moment = itertools.count().__next__
        self._places: Places[_Held] = Places(connections_max, clients.share_key)
        self._held: dict[object, _Held] = {}

    def listen(self, sockets: Sequence[socket.socket]) -> None:  # type: ignore[override]
        """See Server.listen."""
        self.add_sockets(sockets)

    async def cut_off(self) -> None:
        """See Server.cut_off: the handlers do, once their tasks are cancelled."""

    def handle_stream(self, stream: iostream.IOStream, address: Any) -> None:
        held = _Held(stream, address[0] if isinstance(address, tuple) else "", self._moment)
        if not self._places.admit(held):
            stream.write(BUSY).add_done_callback(lambda _: stream.close())
            return
        _explain_bad_requests(stream)
        held.close_in(HEADER_TIMEOUT_S)
        self._held[stream] = held
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        delegate = super().start_request(server_conn, request_conn)
        held = self._held.get(getattr(server_conn, "stream", None))
        return _Watched(delegate, request_conn, held) if held else delegate

    def on_close(self, server_conn: object) -> None:
        held = self._held.pop(getattr(server_conn, "stream", None), None)
        if held:
            held.stay()
            self._places.leave(held)
        super().on_close(server_conn)


class _Held:
    """A Holder: a connection of Tornado's."""

    def __init__(self, stream: iostream.IOStream, address: str, moment: Callable[[], int]) -> None:
        self.address = address
        self.moment = moment()
        self.is_idle = True
        self._next_moment = moment
        self._stream = stream
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_closed(self) -> bool:
        """Whether its client is gone."""
        return self._stream.closed()

    def lives(self) -> None:
        """A sign of life."""
        self.moment = self._next_moment()

    def close_in(self, timeout_s: float) -> None:
        """Close then, unless it may stay."""
        self.stay()
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._stream.close)

    def stay(self) -> None:
        """Nothing is to be closed."""
        if self._timer:
            self._timer.cancel()

    def give_way(self) -> None:
        """See Holder.give_way."""
        self._stream.close()


def _explain_bad_requests(stream: iostream.IOStream) -> None:
    """Every answer is JSON; Tornado's own, to what it cannot parse, is a bare status line."""
    write = stream.write

    def explained(data: bytes | memoryview) -> Future[None]:
        return write(BAD_REQUEST if data == _BAD_REQUEST_BARE else data)

    stream.write = explained  # type: ignore[method-assign]


class _Watched(httputil.HTTPMessageDelegate):
    """Passes a request on, and its end and its answer's to who holds the connection."""

    def __init__(
        self,
        inner: httputil.HTTPMessageDelegate,
        connection: httputil.HTTPConnection,
        held: _Held,
    ) -> None:
        self._inner = inner
        self._held = held
        self._finish_answer = connection.finish
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]
        connection.finish = self._answered  # type: ignore[method-assign]

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Any:
        self._held.lives()
        self._held.stay()
        if self._held.is_closed:  # Tornado would serve what it has read already
            raise httputil.HTTPInputError("the client is gone")
        if not is_host(headers.get("Host", "")):
            raise httputil.HTTPInputError("not a Host")
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        self._held.lives()
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        self._held.is_idle = False
        self._inner.finish()

    def _answered(self) -> None:
        """Until the next request the client has time to read its answer, and no more."""
        self._held.lives()
        self._held.is_idle = True
        self._held.close_in(KEEP_ALIVE_S)
        self._finish_answer()
