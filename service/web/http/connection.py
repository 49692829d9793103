"""One client's connection: bytes to requests, answers to bytes in the order of the requests.

`framer` makes requests of bytes. An error of ours ends one connection, with one line in the log:
the requests before are answered, the one it is about gets 500. Everything a client can make us hold
is bounded:

- the head of a request: past `HEAD_BYTES_MAX` the connection is cut;
- requests begun and not answered: past `PIPELINED_MAX` of them, past `OWED_BYTES_MAX` of what they
  have sent, behind one that is answered alone, or while the client does not read its answers,
  nothing more is read from it;
- what was read and not parsed: one buffer of the server's;
- answers that the client does not read: past `UNREAD_BYTES_MAX` no more are made;
- time: `HEADER_TIMEOUT_S` from the first byte of a head to its end (and to the first byte of a new
  connection), `BODY_TIMEOUT_S` for a body, `KEEP_ALIVE_S` between requests and for a client that
  stops reading. The server's tick is a second, so a timeout may come up to one later.

A connection that ends before its request was read whole lingers: the answer is sent, the write half
shut, and what still comes is dropped for `LINGER_S`, because closing at once would make the kernel
take the answer back. A client that shuts its own write half still gets its answers. An `Upgrade` is
not offered: the request is served as if it had not asked.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from enum import Enum, auto
from typing import Protocol, cast

from service.web.http.exchange import Exchange, Peer, Request
from service.web.http.framer import Framer, UnknownMethod
from service.web.http.head import BadRequest
from service.web.http.known_heads import KnownHeads
from service.web.http.limits import (
    BODY_TIMEOUT_S,
    DISCARDED_BYTES_MAX,
    HEADER_TIMEOUT_S,
    HEADERS_CUT_BYTES,
    KEEP_ALIVE_S,
)
from service.web.http.wire import BAD_REQUEST, BUSY, INTERNAL_ERROR, STOPPING

log = logging.getLogger(__name__)

PIPELINED_MAX = 64
OWED_BYTES_MAX = 256 << 10
UNREAD_BYTES_MAX = 32 << 10
LINGER_S = 2
_PART_BYTES_MAX = 16 << 10
_MESSAGE_BYTES_MAX = DISCARDED_BYTES_MAX + (1 << 20)
_FIELD_BYTES = 128
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_LEAST_HEAD_BYTES = len(b"GET / HTTP/1.0\r\n\r\n")


class _Phase(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class Host(Protocol):
    """The server as a connection sees it."""

    @property
    def tick(self) -> int:
        """Seconds since the server began, whole ones."""

    @property
    def heads(self) -> KnownHeads:
        """Those of its connections."""

    @property
    def buffer(self) -> memoryview:
        """What every connection reads into, one at a time."""

    def moment(self) -> int:
        """More than the last time."""

    def admit(self, connection: Connection) -> bool:
        """Give a connection a place; False if there is none."""

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""

    def flush_soon(self, connection: Connection) -> None:
        """Have the connection send what is due, once a turn."""

    def open(self, peer: Peer, request: Request) -> Exchange:
        """Begin a request whose head has arrived."""


class Connection(asyncio.BufferedProtocol):
    """A Peer to its exchanges, the Sink of its framer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._queue: deque[Exchange] = deque()
        self._reading: Exchange | None = None
        self._framer = Framer(self)
        self._phase = _Phase.HEAD
        self._deadline = host.tick + 1 + HEADER_TIMEOUT_S
        self._fed_bytes = 0
        self._fed_last = b""
        """The last bytes, of which the end of the head may be a part."""
        self._held = b""
        self._owed_bytes = 0
        self.moment = host.moment()
        """Of its last sign of life."""
        self._is_held = self._is_stalled = False
        self._is_over = self._has_ended = False
        self._body_left_bytes = 0
        self._continues: Exchange | None = None

    # -- the transport's side -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn a client away where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES_MAX)
        if not self._host.admit(self):
            self._transport.write(BUSY)
            self._close()

    def get_buffer(self, _: int) -> memoryview:
        """Where the transport puts what it reads."""
        return self._host.buffer

    def buffer_updated(self, size: int) -> None:
        """So much was read."""
        self.data_received(self._host.buffer[:size].tobytes())

    def data_received(self, data: bytes) -> None:
        """Parse, unless what was read before waits to be."""
        if self._is_over:
            return
        try:
            if self._is_held:
                self._held += data
            elif self._phase is _Phase.BODY or self._fed_bytes or self._is_busy:
                self._take(data)
            else:
                self._take_from_its_beginning(data)
        except Exception as error:  # noqa: BLE001 (this connection alone ends)
            self._fail(error)

    def eof_received(self) -> bool:
        """The client has said all it had to; it may still wait for answers."""
        if self._is_over:
            return False
        self._is_over = True
        self._phase = _Phase.IDLE
        reading, self._reading = self._reading, None
        if reading and reading.answer is None:
            self._queue.remove(reading)
            reading.lost()
        return bool(self._queue)

    def pause_writing(self) -> None:
        """The client reads more slowly than it asks."""
        self._is_stalled = True
        self._deadline = self._host.tick + 1 + KEEP_ALIVE_S
        self._hold()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_stalled = False
        self.drained()

    def connection_lost(self, _: Exception | None) -> None:
        """No answer will be read any more."""
        self._is_over = self._has_ended = True
        self._drop_exchanges()
        self._framer.close()
        self._host.forget(self)

    # -- the server's side --------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """See Holder.is_idle: no request was read whole and not answered."""
        return not self._queue or self._queue[0] is self._reading

    def give_way(self) -> None:
        """See Holder.give_way."""
        if self._has_ended or self._transport.get_write_buffer_size():
            self._is_over = True
            self._transport.abort()
        else:
            self._close()

    def sweep(self, tick: int) -> None:
        """Close what has taken too long."""
        owes = bool(self._queue) and self._phase is _Phase.IDLE
        if tick < self._deadline or (owes and not self._is_stalled):
            return
        if self._is_held and not self._is_stalled:
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._close()

    def broke(self, error: Exception) -> None:
        """End at once after an error of ours: nothing is known of what was sent."""
        _log_error(error)
        self._is_over = True
        self._transport.abort()

    def cut_off(self) -> None:
        """End now, telling who still waits that the service stops."""
        for exchange in self._queue:
            if exchange.answer is None:
                exchange.answer, exchange.closes = STOPPING, True
        self.flush()
        if not self._has_ended:
            self._close()

    # -- the exchanges' side ------------------------------------------------------------------

    def answered(self, exchange: Exchange) -> None:
        """See Peer.answered."""
        if exchange.closes:
            self._is_over = True
        if self._queue and self._queue[0] is exchange:
            self._host.flush_soon(self)

    def drained(self) -> None:
        """See Peer.drained."""
        if self._is_held:
            asyncio.get_running_loop().call_soon(self._go_on)

    def refuse(self, exchange: Exchange, answer: bytes) -> None:
        """See Peer.refuse."""
        exchange.answer, exchange.closes = answer, True
        self._is_over = True
        self.answered(exchange)

    # -- reading ------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        if self._is_stalled:
            return True
        if self._reading is not None:
            return self._reading.is_full
        queue = self._queue
        return bool(queue) and (
            len(queue) >= PIPELINED_MAX or self._owed_bytes > OWED_BYTES_MAX or queue[-1].is_alone
        )

    def _take_from_its_beginning(self, data: bytes) -> None:
        """Take what begins with a request, by what is known of its head or by the parser."""
        known = self._host.heads.find(data)
        if known is None:
            self._take(data)
            if self._phase is _Phase.IDLE and not self._is_over and not self._is_held:
                self._host.heads.remember(data, self._request)
            return
        request, body = known
        self._begin(request)
        self.on_body(body)
        self.on_message_complete()

    def _take(self, data: bytes) -> None:
        self.moment = self._host.moment()
        at = 0
        while at < len(data) and not self._is_over:
            if self._is_busy:
                self._held = data[at:]
                self._hold()
                return
            until = self._end_of_part(data, at)
            self._feed(data[at:until])
            at = until

    def _end_of_part(self, data: bytes, at: int) -> int:
        """Where a head or a body ends at the latest: there it is seen whether more may be taken."""
        limit = at + _PART_BYTES_MAX
        if self._body_left_bytes > 0:
            return min(at + self._body_left_bytes, limit)
        if not self._fed_bytes:
            found = data.find(_END_OF_HEAD, at + _LEAST_HEAD_BYTES - len(_END_OF_HEAD), limit)
            return limit if found < 0 else found + len(_END_OF_HEAD)
        found = (self._fed_last + data[at:limit]).find(_END_OF_HEAD)
        return limit if found < 0 else at + found + len(_END_OF_HEAD) - len(self._fed_last)

    def _hold(self) -> None:
        if not self._is_held and not self._has_ended:
            self._is_held = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if not self._is_held or self._is_over or self._is_busy:
            return
        self._is_held = False
        if self._phase is not _Phase.IDLE:
            self._deadline = self._host.tick + 1 + BODY_TIMEOUT_S
        held, self._held = self._held, b""
        self.data_received(held)
        if not self._is_held and not self._has_ended:
            self._transport.resume_reading()

    def _feed(self, data: bytes) -> None:
        try:
            self._framer.feed(data)
        except UnknownMethod as unknown:
            self.on_head(unknown.request)
            self.on_message_complete()
            self._is_over = True
        except BadRequest:
            if not self._is_over:  # what comes behind a last request is not looked at
                self._refuse(BAD_REQUEST)
        if self._phase is not _Phase.IDLE and not self._is_over:
            self._count(data)

    def _count(self, data: bytes) -> None:
        self._fed_bytes += len(data)
        self._fed_last = (self._fed_last + data[-3:])[-3:]
        is_head = self._phase is _Phase.HEAD
        if self._fed_bytes > (HEADERS_CUT_BYTES if is_head else _MESSAGE_BYTES_MAX):
            self._transport.abort()
            self._is_over = True

    def _fail(self, error: Exception) -> None:
        """End after an error of ours: it is told behind the answers to the requests before it."""
        _log_error(error)
        self._refuse(INTERNAL_ERROR)

    def _refuse(self, answer: bytes) -> None:
        reading = self._reading
        if reading and reading.answer is not None:
            reading.closes = self._is_over = True
            self.flush()
            return
        if reading:
            self._reading = None
            self._queue.remove(reading)
            reading.lost()
        refused = _Refused()
        self._queue.append(refused)
        self.refuse(refused, answer)

    # -- the framer's side --------------------------------------------------------------------

    def on_begin(self) -> None:
        """See Sink.on_begin."""
        if self._is_over:
            raise BadRequest
        self._phase = _Phase.HEAD
        self._deadline = self._host.tick + 1 + HEADER_TIMEOUT_S
        self._fed_bytes = 0
        self._fed_last = b""

    def on_head(self, request: Request) -> None:
        """See Sink.on_head: the exchange begins."""
        self._begin(request)
        self._body_left_bytes = request.content_length
        self._owed_bytes += request.headers_bytes + _FIELD_BYTES * len(request.fields)
        expectation = request.headers.get(b"expect")
        if (
            expectation is not None
            and request.version == "1.1"
            and request.content_length <= DISCARDED_BYTES_MAX
        ):
            self._expect(expectation)

    def on_body(self, chunk: bytes) -> None:
        """See Sink.on_body."""
        self._body_left_bytes -= len(chunk)
        self._owed_bytes += len(chunk)
        if self._reading:
            self._reading.data(chunk)

    def on_message_complete(self) -> None:
        """See Sink.on_message_complete."""
        self._phase = _Phase.IDLE
        self._fed_bytes = self._body_left_bytes = 0
        self._deadline = self._host.tick + 1 + KEEP_ALIVE_S
        exchange = self._reading
        if exchange:
            exchange.end()
            self._reading = None
            if exchange.closes:
                self._is_over = True

    def on_last(self) -> None:
        """See Sink.on_last."""
        self._is_over = True

    def _begin(self, request: Request) -> None:
        self._phase = _Phase.BODY
        self._deadline = self._host.tick + 1 + BODY_TIMEOUT_S
        self._request = request
        exchange = self._host.open(self, request)
        self._reading = exchange
        self._queue.append(exchange)
        if exchange.answer is not None:
            self.answered(exchange)

    def _expect(self, expectation: bytes) -> None:
        exchange = self._reading
        if (
            exchange is None
            or exchange.answer is not None
            or expectation.lower() != b"100-continue"
        ):
            return
        if self._queue[0] is exchange:
            self._transport.write(_CONTINUE)
        else:
            self._continues = exchange

    # -- writing ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send every answer that is due."""
        queue, due, closes = self._queue, [], False
        while queue and not closes:
            answer = queue[0].answer
            if answer is None:
                break
            due.append(answer)
            closes = queue.popleft().closes
        if not queue:
            self._owed_bytes = 0
        if due:
            self.moment = self._host.moment()
            self._transport.write(due[0] if len(due) == 1 else b"".join(due))
        if closes or (self._is_over and not queue):
            self._hang_up()
            return
        if self._continues and queue and queue[0] is self._continues:
            if self._continues is self._reading:
                self._transport.write(_CONTINUE)
            self._continues = None
        if self._phase is _Phase.IDLE and not self._is_stalled:
            self._deadline = self._host.tick + 1 + KEEP_ALIVE_S
        if self._is_held:
            self.drained()

    def _hang_up(self) -> None:
        was_whole = self._phase is _Phase.IDLE and not self._held
        self._drop_exchanges()
        if was_whole:
            self._close()
        elif not self._has_ended:
            self._is_over = self._has_ended = True
            self._deadline = self._host.tick + 1 + LINGER_S
            self._transport.write_eof()
            if self._is_held:
                self._is_held = False
                self._transport.resume_reading()

    def _close(self) -> None:
        self._is_over = self._has_ended = True
        self._deadline = self._host.tick + 1 + KEEP_ALIVE_S
        self._transport.close()

    def _drop_exchanges(self) -> None:
        queue, self._queue = self._queue, deque()
        reading, self._reading = self._reading, None
        if reading and reading not in queue:
            queue.append(reading)
        for exchange in queue:
            exchange.lost()
        self._held = b""


def _log_error(error: Exception) -> None:
    """One line, without the error's text, which may repeat what a client sent."""
    origin = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{origin.filename.rpartition('/')[2]}:{origin.lineno}"
    fields = {"error": type(error).__name__, "where": where}
    log.error("a connection was ended by an error", extra={"fields": fields})


class _Refused:
    """The exchange of what is no request."""

    answer: bytes | None = None
    closes = True
    is_full = is_alone = False

    def data(self, chunk: bytes) -> None:
        """Nothing more is read."""

    def end(self) -> None:
        """Nothing more is read."""

    def lost(self) -> None:
        """Nothing was begun."""
