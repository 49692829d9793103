"""One client's connection: bytes to requests, answers to bytes in the order of the requests.

httptools frames, `head` refuses what it lets pass and should not. Everything a client can make us
hold is bounded:

- the head of a request: past `HEAD_BYTES_MAX` the connection is cut;
- what was read and not parsed, and requests begun and not answered: past `PIPELINED_MAX` of them,
  or while the client does not read its answers, nothing more is read from it;
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
import re
from collections import deque
from enum import Enum, auto
from typing import Protocol, cast

import httptools
from tornado import web

from service.web.fast.exchange import Exchange, Peer, Request
from service.web.fast.head import BadRequest, by_name, check
from service.web.fast.known_heads import KnownHeads
from service.web.limits import (
    BODY_TIMEOUT_S,
    DISCARDED_BYTES_MAX,
    HEADER_TIMEOUT_S,
    HEADERS_CUT_BYTES,
    KEEP_ALIVE_S,
)
from service.web.wire import BAD_REQUEST, BUSY, STOPPING

PIPELINED_MAX = 64
LINGER_S = 2
_SLICE_BYTES = 16 << 10
_MESSAGE_BYTES_MAX = DISCARDED_BYTES_MAX + (1 << 20)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,8192}) HTTP/1\.[01]\r\n")
_METHODS = frozenset(method.encode() for method in web.RequestHandler.SUPPORTED_METHODS)


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

    def admit(self, connection: Connection) -> bool:
        """Count a connection; False if there are too many already."""

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""

    def flush_soon(self, connection: Connection) -> None:
        """Have the connection send what is due, once a turn."""

    def open(self, peer: Peer, request: Request) -> Exchange:
        """Begin a request whose head has arrived."""


class Connection(asyncio.Protocol):
    """A Peer to its exchanges; also what httptools calls back."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._queue: deque[Exchange] = deque()
        self._reading: Exchange | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._phase = _Phase.HEAD
        self._deadline = host.tick + 1 + HEADER_TIMEOUT_S
        self._fed_bytes = 0
        self._held = b""
        self._is_held = self._is_stalled = self._is_upgrading = False
        self._is_over = self._has_ended = False
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._fields_bytes = 0
        self._continues: Exchange | None = None

    # -- the transport's side -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn a client away where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        if not self._host.admit(self):
            self._transport.write(BUSY)
            self._close()

    def data_received(self, data: bytes) -> None:
        """Parse, unless what was read before waits to be."""
        if self._is_over:
            return
        if self._is_held:
            self._held += data
        elif self._phase is _Phase.BODY or self._fed_bytes or self._is_busy:
            self._take(data)
        else:
            self._take_from_its_beginning(data)

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
        self._host.forget(self)

    # -- the server's side --------------------------------------------------------------------

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
        reading = self._reading
        return (
            len(self._queue) >= PIPELINED_MAX
            or self._is_stalled
            or (reading is not None and reading.is_full)
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
        at = 0
        while at < len(data) and not self._is_over:
            if self._is_busy:
                self._held = data[at:]
                break
            self._feed(data[at : at + _SLICE_BYTES])
            at += _SLICE_BYTES
        if self._is_busy and not self._is_over:
            self._hold()

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
        self._take(held)
        if not self._is_held and not self._has_ended:
            self._transport.resume_reading()

    def _feed(self, data: bytes) -> None:
        is_first = self._phase is not _Phase.BODY and not self._fed_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._feed_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            self._refuse_method(data if is_first else b"")
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, BadRequest):
                raise
            self._refuse()
        except httptools.HttpParserError:
            self._refuse()
        if self._phase is not _Phase.IDLE and not self._is_over:
            self._count(len(data))

    def _count(self, size: int) -> None:
        self._fed_bytes += size
        is_head = self._phase is _Phase.HEAD
        if self._fed_bytes > (HEADERS_CUT_BYTES if is_head else _MESSAGE_BYTES_MAX):
            self._transport.abort()
            self._is_over = True

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """Parse the request again without what asks for an upgrade: llhttp would drop its body."""
        if not self._is_upgrading:  # CONNECT, which was answered as any method we do not have
            self._is_over = True
            return
        fields = [field for field in self._fields if field[0].lower() != b"upgrade"]
        line = b"%s %s HTTP/%s" % (
            self._parser.get_method(),
            self._target,
            self._parser.get_http_version().encode(),
        )
        head = b"\r\n".join([line, *(b"%s: %s" % field for field in fields), b"", b""])
        self._is_upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

    def _refuse_method(self, data: bytes) -> None:
        """405 for a method that no parser knows, as for one that only our routes do not."""
        line = _REQUEST_LINE.match(data)
        if line is None or line[1] in _METHODS:  # those are of a request before it
            self._refuse()
            return
        self._begin(Request(line[1], line[2], "1.0", [], {}, 0, keeps_alive=False))
        self.on_message_complete()
        self._is_over = True

    def _refuse(self) -> None:
        if self._is_over:
            return  # what comes behind a last request is not looked at
        exchange = self._reading
        if exchange is None:
            exchange = _Refused()
            self._queue.append(exchange)
        elif exchange.answer is None:
            exchange.lost()
        else:
            exchange.closes = self._is_over = True
            self.flush()
            return
        self.refuse(exchange, BAD_REQUEST)

    # -- httptools' side ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._is_over:
            raise BadRequest
        self._phase = _Phase.HEAD
        self._deadline = self._host.tick + 1 + HEADER_TIMEOUT_S
        self._fed_bytes = 0
        self._target = b""
        self._fields = []
        self._fields_bytes = 0

    def on_url(self, part: bytes) -> None:
        """The request's target, or a part of it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody asks for."""
        if self._phase is _Phase.HEAD:
            self._fields.append((name, value))
            self._fields_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """The head is whole: the exchange begins."""
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":
            self._is_upgrading = True
            return
        version = parser.get_http_version()
        headers = by_name(self._fields)
        check(version, headers)
        keeps_alive = parser.should_keep_alive() and not (
            version == "1.0" and b"transfer-encoding" in headers
        )
        self._begin(
            Request(
                method,
                self._target,
                version,
                self._fields,
                headers,
                self._fields_bytes,
                keeps_alive,
            )
        )
        if b"expect" in headers and version == "1.1":
            self._expect(headers[b"expect"])

    def on_body(self, chunk: bytes) -> None:
        """More of the body."""
        if self._reading:
            self._reading.data(chunk)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._is_upgrading:
            return
        self._phase = _Phase.IDLE
        self._fed_bytes = 0
        self._deadline = self._host.tick + 1 + KEEP_ALIVE_S
        exchange, self._reading = self._reading, None
        if exchange:
            if exchange.closes:
                self._is_over = True
            exchange.end()

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
        if due:
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


class _Refused:
    """The exchange of what is no request."""

    answer: bytes | None = None
    closes = True
    is_full = False

    def data(self, chunk: bytes) -> None:
        """Nothing more is read."""

    def end(self) -> None:
        """Nothing more is read."""

    def lost(self) -> None:
        """Nothing was begun."""
