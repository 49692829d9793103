"""The fast server: accept connections, check their deadlines, and flush their responses.

It accepts one connection per turn of the loop, so that workers that listen on one socket share the
load. A worker with many connections accepts more per turn, because its turns are long.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable, Sequence

from service.web.http.connection import Connection
from service.web.http.connection_limits import ConnectionLimits
from service.web.http.exchange import ExchangeFactory
from service.web.http.head_cache import HeadCache

log = logging.getLogger(__name__)

_TICK_S = 1.0
_HEADS_KEPT_S = 60
_CONNECTIONS_PER_FURTHER_ACCEPT = 4
_BUFFER_BYTES = 16 << 10
_WAITING_MAX = 1024


class FastServer:
    """A Server, and the ConnectionManager of its connections. Create it on a running loop."""

    def __init__(
        self,
        exchanges: ExchangeFactory,
        share_key: Callable[[str], str | None],
        *,
        connections_max: int,
    ) -> None:
        """Start the timer. For `share_key` see ConnectionLimits."""
        self._exchanges = exchanges
        self.open_exchange = exchanges.open
        self.tick = 0
        self.head_cache = HeadCache()
        self.read_buffer = memoryview(bytearray(_BUFFER_BYTES))
        self.next_activity = itertools.count().__next__
        self._connections: ConnectionLimits[Connection] = ConnectionLimits(
            connections_max, share_key
        )
        self.remove = self._connections.remove
        self.admit = self._connections.admit
        self._sockets: list[socket.socket] = []
        self._to_flush: list[Connection] = []
        self._accepting: set[asyncio.Task[object]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_TICK_S, self._each_tick)

    # -- Server -------------------------------------------------------------------------------

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """See Server.listen."""
        for listening in sockets:
            listening.settimeout(0)
            self._sockets.append(listening)
            self._loop.add_reader(listening, self._accept, listening)

    def stop(self) -> None:
        """See Server.stop."""
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            for _ in range(_WAITING_MAX):  # closing would reset those that wait
                if not self._accept_one(listening):
                    break
            listening.close()
        self._sockets.clear()

    async def close_all_connections(self) -> None:
        """See Server.close_all_connections."""
        self._timer.cancel()
        # Connections that are still being set up must be closed too.
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for connection in self._connections:
            connection.cut_off()
        await asyncio.sleep(0)

    async def cut_off(self) -> None:
        """See Server.cut_off."""
        await self.close_all_connections()

    # -- ConnectionManager --------------------------------------------------------------------

    def flush_soon(self, connection: Connection) -> None:
        """See ConnectionManager.flush_soon."""
        if not self._to_flush:
            self._loop.call_soon(self._flush)
        self._to_flush.append(connection)

    # -- its own ------------------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(1 + len(self._connections) // _CONNECTIONS_PER_FURTHER_ACCEPT):
            if not self._accept_one(listening):
                return

    def _accept_one(self, listening: socket.socket) -> bool:
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another worker took it, or the client has gone
        except OSError as error:
            log.error("cannot accept connections", extra={"fields": {"why": str(error)}})
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
        """Send the responses of a turn together, because waking a sleeping client is costly."""
        to_flush, self._to_flush = self._to_flush, []
        for connection in to_flush:
            try:
                connection.flush()
            except Exception as error:  # noqa: BLE001 (the other connections go on)
                connection.abort_after_error(error)

    def _each_tick(self) -> None:
        self.tick += 1
        self._exchanges.refresh()
        if self.tick % _HEADS_KEPT_S == 0:
            self.head_cache.clear()
        self._timer = self._loop.call_later(_TICK_S, self._each_tick)
        for connection in self._connections:
            try:
                connection.check_timeout()
            except Exception as error:  # noqa: BLE001 (the other connections go on)
                connection.abort_after_error(error)
