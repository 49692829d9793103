"""The output of one connection: a bounded queue of exchanges, in the order of their requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from service.web.http.exchange import Exchange
from service.web.http.limits import PENDING_BYTES_MAX, PIPELINED_MAX


class ResponseQueue:
    """The exchanges whose responses are not sent yet; the last may still receive its request.

    The queue is full at PIPELINED_MAX requests, above PENDING_BYTES_MAX of them, behind an exchange
    that blocks the pipeline, and while the client reads its responses too slowly.
    """

    __slots__ = ("_exchanges", "append", "expecting", "is_stalled", "pending_bytes", "receiving")

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque()
        self.append = self._exchanges.append
        self.receiving: Exchange | None = None
        """The exchange whose request has not arrived completely."""
        self.expecting: Exchange | None = None
        """The exchange whose client waits for `100 Continue`."""
        self.pending_bytes = 0
        """Bytes that the requests hold in memory."""
        self.is_stalled = False
        """Whether the client reads its responses more slowly than they are written."""

    def __bool__(self) -> bool:
        return bool(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges)

    @property
    def is_full(self) -> bool:
        """Whether no more input may be parsed."""
        if self.is_stalled:
            return True
        if self.receiving is not None:
            return self.receiving.is_full
        exchanges = self._exchanges
        return bool(exchanges) and (
            len(exchanges) >= PIPELINED_MAX
            or self.pending_bytes > PENDING_BYTES_MAX
            or exchanges[-1].blocks_pipeline
        )

    def is_next(self, exchange: Exchange | None) -> bool:
        """Return whether the next response to send is that of this exchange."""
        return bool(self._exchanges) and self._exchanges[0] is exchange

    def take_ready(self) -> tuple[list[bytes], bool]:
        """Remove and return the responses that can be sent now.

        They end with the first response that closes the connection; the second value says whether
        there is one.
        """
        exchanges = self._exchanges
        ready: list[bytes] = []
        closes = False
        while exchanges and not closes:
            response = exchanges[0].response
            if response is None:
                break
            ready.append(response)
            closes = exchanges.popleft().closes
        if not exchanges:
            self.pending_bytes = 0
        return ready, closes

    def take_continue(self) -> bool:
        """Return whether `100 Continue` can be sent now; at most once per request."""
        expecting = self.expecting
        if expecting is None or not self.is_next(expecting):
            return False
        self.expecting = None
        return expecting is self.receiving

    def cancel_incomplete(self) -> None:
        """Cancel the exchange that is receiving its request, unless its response is ready."""
        receiving, self.receiving = self.receiving, None
        if receiving and receiving.response is None:
            self._exchanges.remove(receiving)
            receiving.on_disconnect()

    def cancel_all(self) -> None:
        """Cancel all exchanges."""
        exchanges = list(self._exchanges)
        if self.receiving and self.receiving not in exchanges:
            exchanges.append(self.receiving)
        self.receiving = None
        self._exchanges.clear()
        for exchange in exchanges:
            exchange.on_disconnect()


class RejectedInput:
    """The exchange for input that is not a valid request."""

    response: bytes | None = None
    closes = True
    is_full = False
    blocks_pipeline = False

    def on_body(self, chunk: bytes) -> None:
        """Do nothing: never called, because there is no request."""

    def on_end(self) -> None:
        """Do nothing: never called, because there is no request."""

    def on_disconnect(self) -> None:
        """Do nothing: nothing runs that could be cancelled."""
