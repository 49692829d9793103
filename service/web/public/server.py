"""The fast server: listens, keeps its connections and their time, and opens exchanges.

Connections are accepted one in a turn of the loop, so that workers that listen on one socket share
them; a worker that holds many takes more in a turn, because its turns are long.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Sequence

from tornado import httputil

from service.web.http.connection import Connection
from service.web.http.exchange import Exchange, Peer, Request
from service.web.http.known_heads import KnownHeads
from service.web.http.places import Places
from service.web.http.tornado_exchange import TornadoExchange
from service.web.public.app import Port
from service.web.public.ingest import Ingest

log = logging.getLogger(__name__)

_TICK_S = 1.0
_HEADS_KEPT_S = 60
_HELD_AN_ACCEPT = 4
_BUFFER_BYTES = 16 << 10


class FastServer:
    """A server.Server and the Host of its connections. Made and used on a running loop."""

    def __init__(
        self, app: httputil.HTTPServerConnectionDelegate, port: Port, *, connections_max: int
    ) -> None:
        self.tick = 0
        self.heads = KnownHeads()
        self._app = app
        self._ingest = Ingest(port)
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        self.moment = itertools.count().__next__
        self._places: Places[Connection] = Places(connections_max, port.clients.share_key)
        self._sockets: list[socket.socket] = []
        self._due: list[Connection] = []
        self._accepting: set[asyncio.Task[object]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_TICK_S, self._sweep)

    # -- see server.Server --------------------------------------------------------------------

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """See Server.listen."""
        for one in sockets:
            one.settimeout(0)
            self._sockets.append(one)
            self._loop.add_reader(one, self._accept, one)

    def stop(self) -> None:
        """See Server.stop."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()
        self._sockets.clear()

    async def close_all_connections(self) -> None:
        """See Server.close_all_connections."""
        self._timer.cancel()
        # A connection that was accepted just now is ours already.
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for connection in self._places:
            connection.cut_off()
        await asyncio.sleep(0)

    async def cut_off(self) -> None:
        """See Server.cut_off."""
        await self.close_all_connections()

    # -- see connection.Host --------------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """See Host.admit."""
        return self._places.admit(connection)

    def forget(self, connection: Connection) -> None:
        """See Host.forget."""
        self._places.leave(connection)

    def flush_soon(self, connection: Connection) -> None:
        """See Host.flush_soon."""
        if not self._due:
            self._loop.call_soon(self._flush)
        self._due.append(connection)

    def open(self, peer: Peer, request: Request) -> Exchange:
        """See Host.open."""
        return self._ingest.open(peer, request) or TornadoExchange(peer, self._app, request)

    # -- its own ------------------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(1 + len(self._places) // _HELD_AN_ACCEPT):
            if not self._accept_one(listening):
                return

    def _accept_one(self, listening: socket.socket) -> bool:
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another worker's, or gone already
        except OSError as error:
            log.error("no connection can be accepted", extra={"fields": {"why": str(error)}})
            self._loop.remove_reader(listening)
            self._loop.call_later(_TICK_S, self._accept_again, listening)
            return False
        accepted.settimeout(0)
        accepting = self._loop.connect_accepted_socket(lambda: Connection(self), accepted)
        task = self._loop.create_task(accepting)
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return True

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _flush(self) -> None:
        """One answer right after the other: a client that sleeps is costly to wake for each."""
        due, self._due = self._due, []
        for connection in due:
            try:
                connection.flush()
            except Exception as error:  # noqa: BLE001 (the others go on)
                connection.broke(error)

    def _sweep(self) -> None:
        self.tick += 1
        self._ingest.heads.expire()
        if self.tick % _HEADS_KEPT_S == 0:
            self.heads.forget()
        self._timer = self._loop.call_later(_TICK_S, self._sweep)
        for connection in self._places:
            try:
                connection.sweep(self.tick)
            except Exception as error:  # noqa: BLE001 (the others go on)
                connection.broke(error)
