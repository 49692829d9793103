"""A connection with fakes around it, to talk to without a socket."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from service.web.http.connection import Connection
from service.web.http.exchange import Peer, Request
from service.web.http.known_heads import KnownHeads

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
CHUNKED = b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = b""
        self.said: list[str] = []
        self.unsent_bytes = 0

    def write(self, data: Any) -> None:
        assert "close" not in self.said
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """What was asked for does not matter here."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("pause_reading", "resume_reading", "write_eof", "close", "abort"):
            return lambda: self.said.append(name)
        return super().__getattribute__(name)


class FakeExchange:
    """An exchange that is answered when the test says so."""

    def __init__(self, peer: Peer, request: Request) -> None:
        self.peer, self.request = peer, request
        self.answer: bytes | None = None
        self.closes = not request.keeps_alive
        self.is_full = self.is_alone = self.has_ended = self.is_lost = False
        self.body = b""

    def data(self, chunk: bytes) -> None:
        self.body += chunk

    def end(self) -> None:
        self.has_ended = True

    def lost(self) -> None:
        self.is_lost = True

    def reply(self, answer: bytes) -> None:
        self.answer = answer
        self.peer.answered(self)


class FakeHost:
    """A server of one connection."""

    def __init__(self) -> None:
        self.tick = 0
        self.heads = KnownHeads()
        self.buffer = memoryview(bytearray(1 << 10))
        self.moment = itertools.count().__next__
        self.is_open = True
        self.exchanges: list[FakeExchange] = []
        self.due: list[Connection] = []

    def admit(self, connection: Connection) -> bool:
        return self.is_open

    def forget(self, connection: Connection) -> None:
        self.is_open = False

    def flush_soon(self, connection: Connection) -> None:
        self.due.append(connection)

    def flush(self) -> None:
        due, self.due = self.due, []
        for connection in due:
            connection.flush()

    def open(self, peer: Peer, request: Request) -> FakeExchange:
        self.exchanges.append(FakeExchange(peer, request))
        return self.exchanges[-1]


class Talk:
    """A connection and what is around it."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.host = FakeHost()
        self.host.is_open = is_open
        self.transport = FakeTransport()
        self.connection = Connection(self.host)
        self.connection.connection_made(self.transport)

    def hear(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.data_received(part)

    def reply(self, index: int, answer: bytes) -> None:
        self.host.exchanges[index].reply(answer)
        self.host.flush()

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.host.tick += 1
            self.connection.sweep(self.host.tick)
