"""Parse the input of one connection, and pass the requests to exchanges, within bounds.

Input is parsed while the queue of responses has room. Otherwise the rest is held and reading is
paused, so a connection holds no more than one read of the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from service.web.http.exchange import Exchange, Peer, RequestHead
from service.web.http.framer import Framer, UnknownMethod
from service.web.http.head import BadRequest, expects_continue
from service.web.http.head_cache import HeadCache, WholeRequest
from service.web.http.lifecycle import Lifecycle
from service.web.http.limits import BODY_TIMEOUT_S
from service.web.http.message_progress import MessageProgress
from service.web.http.response_bytes import BAD_REQUEST
from service.web.http.response_queue import RejectedInput, ResponseQueue
from service.web.http.state import (
    BEGIN,
    BODY,
    ENDED,
    HEAD,
    HEAD_END,
    IDLE,
    NEW,
    READING,
    REQUEST_END,
    STOP,
)

_FIELD_BYTES = 128
"""The memory of a header field apart from its text."""


class Owner(Peer, Protocol):
    """The connection as its reader sees it."""

    def data_received(self, data: bytes) -> None:
        """Parse input; an error ends the connection."""

    def touch(self) -> None:
        """Note that the client is active."""

    def flush(self) -> None:
        """Send what is ready: responses, or `100 Continue`."""

    def abort(self) -> None:
        """End at once, even if responses are not sent yet."""


class RequestReader:
    """The reader of one connection, and the Sink of its framer."""

    __slots__ = (
        *("_framer", "_head", "_head_cache", "_lifecycle", "_open_exchange", "_owner"),
        *("_progress", "_queue", "held", "transport"),
    )
    __deletable__ = ("_owner",)

    def __init__(
        self,
        owner: Owner,
        head_cache: HeadCache,
        open_exchange: Callable[[Peer, RequestHead], Exchange],
        lifecycle: Lifecycle,
        queue: ResponseQueue,
    ) -> None:
        self._owner = owner
        self._head_cache = head_cache
        self._open_exchange = open_exchange
        self._lifecycle = lifecycle
        self._queue = queue
        self._framer = Framer(self)
        self._progress = MessageProgress()
        self.held: bytes | None = None
        """Input that waits to be parsed, while reading is paused."""
        self.transport: asyncio.Transport
        """Set when the connection is made."""

    def close(self) -> None:
        """Break the reference cycles, so that all are freed at once."""
        self._framer.close()
        del self._owner

    # -- called by the connection -------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Parse input; if earlier input is held, hold this too."""
        state = self._lifecycle.state
        if self.held is not None:
            self.held += data
        elif (state is IDLE or state is NEW) and not self._queue.is_full:
            self._receive_request(data)
        else:
            self._receive(data)

    def pause(self, held: bytes = b"") -> None:
        """Stop reading, and hold input until `resume`."""
        if self.held is None and self._lifecycle.state not in ENDED:
            self.held = held
            self.transport.pause_reading()

    def resume(self) -> None:
        """Parse the held input in the next turn of the loop, and continue reading."""
        if self.held is not None:
            asyncio.get_running_loop().call_soon(self._receive_held)

    def discard(self) -> None:
        """Drop the held input, and continue reading, to discard that too."""
        if self.held is not None:
            self.held = None
            self.transport.resume_reading()

    def reject(self, response: bytes) -> None:
        """Stop reading, and send this response after those to earlier requests.

        If an incomplete request has its response already, that one is sent instead.
        """
        receiving = self._queue.receiving
        if receiving and receiving.response is not None:
            receiving.closes = True
            self._lifecycle.enter(STOP)
            self._owner.flush()
            return
        self._queue.cancel_incomplete()
        rejected = RejectedInput()
        self._queue.append(rejected)
        self._owner.reject(rejected, response)

    # -- called by the framer (Sink) ----------------------------------------------------------

    def on_begin(self) -> None:
        """See Sink.on_begin."""
        if self._lifecycle.state not in READING:
            raise BadRequest
        self._lifecycle.enter(BEGIN)

    def on_head(self, head: RequestHead) -> None:
        """See Sink.on_head."""
        self._lifecycle.enter(HEAD_END)
        exchange = self._open(head)
        self._progress.body_left_bytes = head.content_length
        self._queue.pending_bytes += head.headers_bytes + _FIELD_BYTES * len(head.fields)
        if b"expect" in head.headers and exchange.response is None and expects_continue(head):
            self._queue.expecting = exchange
            self._owner.flush()

    def on_body(self, chunk: bytes) -> None:
        """See Sink.on_body."""
        self._progress.count_body(chunk)
        self._queue.pending_bytes += len(chunk)
        if self._queue.receiving:
            self._queue.receiving.on_body(chunk)

    def on_message_complete(self) -> None:
        """See Sink.on_message_complete."""
        self._progress.restart()
        self._end_request()

    def on_last(self) -> None:
        """See Sink.on_last."""
        self._lifecycle.enter(STOP)

    # -- its own ------------------------------------------------------------------------------

    def _receive_request(self, data: bytes) -> None:
        """Receive input at the start of a request; parse it only if its head is not cached."""
        request = WholeRequest.of(data)
        if request is None:
            self._receive(data)
            return
        head = self._head_cache.get(request)
        if head is None:
            self._owner.touch()
            self._parse(data)
            if self._lifecycle.state is IDLE and self.held is None:
                self._head_cache.put(request, data, self._head)
            return
        exchange = self._open(head)
        if request.body_bytes:
            body = data[-request.body_bytes :]
            self._queue.pending_bytes += len(body)
            exchange.on_body(body)
        self._end_request()

    def _receive(self, data: bytes) -> None:
        """Parse input part by part while the queue has room, and hold the rest."""
        self._owner.touch()
        start = 0
        while start < len(data) and self._lifecycle.state in READING:
            if self._queue.is_full:
                self.pause(data[start:])
                return
            end = self._progress.end_of_part(data, start)
            self._parse(data[start:end])
            start = end

    def _parse(self, part: bytes) -> None:
        lifecycle = self._lifecycle
        try:
            self._framer.feed(part)
        except UnknownMethod as unknown:
            self.on_head(unknown.head)
            self.on_message_complete()
        except BadRequest:
            if lifecycle.state in READING:
                self.reject(BAD_REQUEST)
        if lifecycle.state is HEAD or lifecycle.state is BODY:
            self._progress.count(part)
            if self._progress.is_too_long:
                self._owner.abort()

    def _open(self, head: RequestHead) -> Exchange:
        self._head = head
        self._queue.receiving = exchange = self._open_exchange(self._owner, head)
        self._queue.append(exchange)
        if exchange.response is not None:
            self._owner.response_ready(exchange)
        return exchange

    def _end_request(self) -> None:
        self._lifecycle.enter(REQUEST_END)
        exchange = self._queue.receiving
        if exchange:
            exchange.on_end()
            self._queue.receiving = None
            if exchange.closes:
                self._lifecycle.enter(STOP)

    def _receive_held(self) -> None:
        state = self._lifecycle.state
        if self.held is None or state not in READING or self._queue.is_full:
            return
        held, self.held = self.held, None
        if state is not IDLE:
            self._lifecycle.restart(BODY_TIMEOUT_S)
        if held:
            self._owner.data_received(held)
        if self.held is None and self._lifecycle.state not in ENDED:
            self.transport.resume_reading()
