"""One client's connection: read requests, and send the responses in the order of the requests.

`request_reader` parses the input, `response_queue` orders and bounds the output, and `lifecycle`
has the state and its deadline. All memory that a client can occupy is bounded by `limits`.

A defect ends one connection, with one line in the log: earlier requests get their responses, and
the request that caused the error gets a 500.

If the last request was not read completely, the connection lingers: it sends the response, shuts
down its sending half, and discards input for LINGER_S. Closing at once would make the kernel
discard the response. A client that shuts down its own sending half still gets its responses.
`Upgrade` is ignored, as RFC 9110, 7.8 allows.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import cast

from service.web.http.connection_manager import ConnectionManager
from service.web.http.exchange import Exchange
from service.web.http.lifecycle import Lifecycle
from service.web.http.limits import KEEP_ALIVE_S, UNREAD_BYTES_MAX
from service.web.http.request_reader import RequestReader
from service.web.http.response_bytes import BUSY, INTERNAL_ERROR, STOPPING
from service.web.http.response_queue import ResponseQueue
from service.web.http.state import CLIENT_EOF, CLOSE, ENDED, IDLE, LAST, READING, SHUT_DOWN, STOP

log = logging.getLogger(__name__)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.BufferedProtocol):
    """A connection: the Peer of its exchanges, Owner of its reader, an Evictable of its server."""

    def __init__(self, manager: ConnectionManager[Connection]) -> None:
        self._manager = manager
        self._lifecycle = Lifecycle(manager)
        self._queue = ResponseQueue()
        self._reader = RequestReader(
            self, manager.head_cache, manager.open_exchange, self._lifecycle, self._queue
        )
        self.touch()

    # -- called by the transport --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, or reject the client with 503 if there are too many connections."""
        self._transport = self._reader.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES_MAX)
        if not self._manager.admit(self):
            self._transport.write(BUSY)
            self._close()

    def get_buffer(self, _: int) -> memoryview:
        """Return the buffer for the transport to read into."""
        return self._manager.read_buffer

    def buffer_updated(self, size: int) -> None:
        """Parse the first `size` bytes of the buffer."""
        self.data_received(self._manager.read_buffer[:size].tobytes())

    def data_received(self, data: bytes) -> None:
        """Parse input, or discard it after the last request."""
        if self._lifecycle.state not in READING:
            return
        try:
            self._reader.receive(data)
        except Exception as error:  # noqa: BLE001 (only this connection ends)
            _log_error(error)
            self._reader.reject(INTERNAL_ERROR)

    def eof_received(self) -> bool:
        """Drop an incomplete request; keep the transport open if responses are still to be sent."""
        if self._lifecycle.state in ENDED:
            return False
        self._lifecycle.enter(CLIENT_EOF)
        self._queue.cancel_incomplete()
        return bool(self._queue)

    def pause_writing(self) -> None:
        """Stop reading, because the client reads its responses too slowly."""
        self._queue.is_stalled = True
        self._lifecycle.restart(KEEP_ALIVE_S)
        self._reader.pause()

    def resume_writing(self) -> None:
        """Continue reading, because the client has read its responses."""
        self._queue.is_stalled = False
        self._reader.resume()

    def connection_lost(self, _: Exception | None) -> None:
        """Cancel the exchanges and release the connection."""
        self._lifecycle.enter(CLOSE)
        self._queue.cancel_all()
        self._reader.close()
        self._manager.remove(self)

    # -- called by the server -----------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """See Evictable.is_idle."""
        return not self._queue or self._queue.is_next(self._queue.receiving)

    def evict(self) -> None:
        """See Evictable.evict."""
        if self._lifecycle.state in ENDED:
            self.abort()
        else:
            self._close_or_abort()

    def check_timeout(self) -> None:
        """End the connection if the client took too long."""
        if self._lifecycle.is_overdue and not self._owes_response:
            self._close_or_abort()

    def abort_after_error(self, error: Exception) -> None:
        """Log a defect and abort, because nobody knows how much was sent."""
        _log_error(error)
        self.abort()

    def cut_off(self) -> None:
        """Respond to waiting requests with 503, because the process is ending, and close."""
        self._lifecycle.enter(STOP)
        for exchange in self._queue:
            if exchange.response is None:
                exchange.response, exchange.closes = STOPPING, True
        self.flush()
        if self._lifecycle.state not in ENDED:
            self._close()

    def flush(self) -> None:
        """Send the responses that are ready, in one write."""
        lifecycle, queue = self._lifecycle, self._queue
        if lifecycle.state in ENDED:
            return
        ready, closes = queue.take_ready()
        if ready:
            self.touch()
            self._transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if closes or (lifecycle.state not in READING and not queue):
            self._hang_up()
            return
        if queue.expecting is not None and queue.take_continue():
            self._transport.write(_CONTINUE)
        if lifecycle.state is IDLE and not queue.is_stalled:
            lifecycle.restart(KEEP_ALIVE_S)
        if self._reader.held is not None:
            self._reader.resume()

    # -- called by exchanges (Peer) and the reader (Owner) ------------------------------------

    def response_ready(self, exchange: Exchange) -> None:
        """See Peer.response_ready."""
        if exchange.closes:
            self._lifecycle.enter(STOP)
        if self._queue.is_next(exchange):
            self._manager.flush_soon(self)

    def resume(self) -> None:
        """See Peer.resume."""
        self._reader.resume()

    def reject(self, exchange: Exchange, response: bytes) -> None:
        """See Peer.reject."""
        exchange.response, exchange.closes = response, True
        self.response_ready(exchange)

    def touch(self) -> None:
        """See Owner.touch."""
        self.last_activity = self._manager.next_activity()

    def abort(self) -> None:
        """See Owner.abort."""
        self._lifecycle.enter(CLOSE)
        self._transport.abort()

    # -- its own ------------------------------------------------------------------------------

    @property
    def _owes_response(self) -> bool:
        """Whether the connection waits for a response, not for its client."""
        state = self._lifecycle.state
        if state in ENDED or self._queue.is_stalled:
            return False
        is_receiving = state in READING and state is not IDLE
        return self._reader.held is not None or (bool(self._queue) and not is_receiving)

    def _hang_up(self) -> None:
        """End after the last response: close, or linger if more input may arrive."""
        is_whole = self._lifecycle.state is LAST and not self._reader.held
        self._queue.cancel_all()
        if is_whole:
            self._close()
            return
        self._lifecycle.enter(SHUT_DOWN)
        self._transport.write_eof()
        self._reader.discard()

    def _close_or_abort(self) -> None:
        """Close, or abort if the client has not read all responses."""
        if self._transport.get_write_buffer_size():
            self.abort()
        else:
            self._close()

    def _close(self) -> None:
        self._lifecycle.enter(CLOSE)
        self._transport.close()


def _log_error(error: Exception) -> None:
    """Log one line without the error's text, which may contain a client's data."""
    origin = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{origin.filename.rpartition('/')[2]}:{origin.lineno}"
    fields = {"error": type(error).__name__, "where": where}
    log.error("a connection was ended by an error", extra={"fields": fields})
