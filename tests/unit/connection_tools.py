"""A connection with fakes around it, to talk to without a socket."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from service.web.http.connection import Connection
from service.web.http.exchange import Peer, RequestHead
from service.web.http.head_cache import HeadCache

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
CHUNKED = b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """Records what is written and which methods are called."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = b""
        self.calls: list[str] = []
        self.unsent_bytes = 0

    def write(self, data: Any) -> None:
        assert "close" not in self.calls
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignore the limits."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("pause_reading", "resume_reading", "write_eof", "close", "abort"):
            return lambda: self.calls.append(name)
        return super().__getattribute__(name)


class FakeExchange:
    """An exchange that is answered when the test says so."""

    def __init__(self, peer: Peer, head: RequestHead) -> None:
        self.peer, self.head = peer, head
        self.response: bytes | None = None
        self.closes = not head.keeps_alive
        self.is_full = self.blocks_pipeline = self.has_ended = self.is_lost = False
        self.body = b""

    def on_body(self, chunk: bytes) -> None:
        self.body += chunk

    def on_end(self) -> None:
        self.has_ended = True

    def on_disconnect(self) -> None:
        self.is_lost = True

    def reply(self, response: bytes) -> None:
        self.response = response
        self.peer.response_ready(self)


class FakeManager:
    """A server of one connection."""

    def __init__(self, head_cache: HeadCache) -> None:
        self.tick = 0
        self.head_cache = head_cache
        self.read_buffer = memoryview(bytearray(1 << 10))
        self.next_activity = itertools.count().__next__
        self.is_open = True
        self.exchanges: list[FakeExchange] = []
        self.due: list[Connection] = []
        self.parses_heads = False

    def admit(self, connection: Connection) -> bool:
        return self.is_open

    def remove(self, connection: Connection) -> None:
        self.is_open = False

    def flush_soon(self, connection: Connection) -> None:
        self.due.append(connection)

    def flush(self) -> None:
        due, self.due = self.due, []
        for connection in due:
            connection.flush()

    def open_exchange(self, peer: Peer, head: RequestHead) -> FakeExchange:
        if self.parses_heads and head.parsed is None:
            fields = [
                (name, value) for name, value in head.fields if name.lower() != b"content-length"
            ]
            head.parsed = (head.method, head.target, head.version, fields)
        self.exchanges.append(FakeExchange(peer, head))
        return self.exchanges[-1]


class Talk:
    """A connection and what is around it."""

    def __init__(self, *, is_open: bool = True, head_cache: HeadCache | None = None) -> None:
        self.manager = FakeManager(HeadCache() if head_cache is None else head_cache)
        self.manager.is_open = is_open
        self.transport = FakeTransport()
        self.connection = Connection(self.manager)
        self.connection.connection_made(self.transport)

    def hear(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.data_received(part)

    def reply(self, index: int, response: bytes) -> None:
        self.manager.exchanges[index].reply(response)
        self.manager.flush()

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.manager.tick += 1
            self.connection.check_timeout()
