"""A connection to a Valkey or Redis server: commands out, replies in the same order.

Replies go to callbacks, so a command costs no coroutine and no task. The bytes are made and parsed
by hiredis (RESP 2: https://valkey.io/topics/protocol/).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import hiredis

from service.collector.throttle.valkey.address import ServerAddress

Command: TypeAlias = tuple[Any, ...]
"""Text, bytes and numbers."""
OnReply: TypeAlias = Callable[[Any], None]

REPLY_CHARS_MAX = 200
_OPERATORS_FAULTS = ("WRONGPASS", "NOAUTH", "NOPERM")
_CLIENTS = "ERR max number of clients"
_INCOMPLETE = object()


class ServerAway(Exception):
    """The server cannot decide now. The message says why, in one line."""


class ServerRefused(ServerAway):
    """The server refuses, until somebody changes its configuration or ours."""


class ServerLost(ServerAway):
    """The connection has ended."""


class Connection(asyncio.Protocol):
    """A connection. `lost` is done once it has ended; every callback gets an error then."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._on_replies: deque[OnReply] = deque()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, address: ServerAddress) -> Connection:
        """Connect and log in. Raises ServerAway, ServerRefused."""
        loop = asyncio.get_running_loop()
        try:
            if address.socket_path:
                _, connection = await loop.create_unix_connection(cls, address.socket_path)
            else:
                _, connection = await loop.create_connection(
                    cls, address.host, address.port, ssl=_tls(address)
                )
        except OSError as error:  # also of TLS
            raise ServerAway(_line(error.strerror or error)) from error
        try:
            await connection._log_in(address)
        except BaseException:
            connection.close()
            raise
        return connection

    # -- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                self._on_replies.popleft()(reply)
        except (hiredis.ProtocolError, IndexError):  # not a server of this kind
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if not self.lost.done():
            self.lost.set_result(None)
        error = ServerLost(_line(exc or "the server closed the connection"))
        while self._on_replies:
            self._on_replies.popleft()(error)

    # -- commands -----------------------------------------------------------------------------

    def send(self, command: Command, on_reply: OnReply) -> None:
        """Send a command. `on_reply` gets the reply, a hiredis.ReplyError, or a ServerLost."""
        if self._transport is None or self._transport.is_closing():
            on_reply(ServerLost("the connection is closed"))
            return
        self._on_replies.append(on_reply)
        self._transport.write(hiredis.pack_command(command))

    def request(self, *command: str | int | float | bytes) -> asyncio.Future[Any]:
        """Send a command, and return the future of its reply.

        It raises ServerLost, ServerRefused for an error that somebody must correct, and ServerAway
        for any other error.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(command, partial(_settle, future))
        return future

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _log_in(self, address: ServerAddress) -> None:
        credentials = ("AUTH", address.user, address.password) if address.password else ()
        hello = self.request("HELLO", 2, *credentials, "SETNAME", "beaconlog")
        try:
            about = await hello
        except ServerLost:
            raise
        except ServerAway as error:
            # Without its text: older servers repeat the command, with the password.
            if str(error).startswith(_CLIENTS):
                raise ServerAway(_CLIENTS) from None
            code = str(error).partition(" ")[0]
            raise ServerRefused(f"it refuses the log-in ({code})") from None
        mode = _mode(about)
        if mode != b"standalone":
            raise ServerRefused(
                f"it runs in mode {mode.decode(errors='replace')}; only a server by itself, "
                "with or without replicas, can keep the limits"
            )
        if address.database:
            try:
                await self.request("SELECT", address.database)
            except ServerLost:
                raise
            except ServerAway as error:
                raise ServerRefused(f"it has no database {address.database}") from error


def away(error: Exception) -> ServerAway:
    """Return what an error reply means for us."""
    if isinstance(error, ServerAway):
        return error
    text = _line(error)
    return ServerRefused(text) if text.startswith(_OPERATORS_FAULTS) else ServerAway(text)


def _settle(future: asyncio.Future[Any], reply: object) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(reply, Exception):
        future.set_exception(away(reply))
    else:
        future.set_result(reply)


def _mode(about: object) -> bytes:
    fields = about if isinstance(about, list) else []
    named = dict(zip(fields[::2], fields[1::2], strict=False))
    mode = named.get(b"mode")
    return mode if isinstance(mode, bytes) else b"unknown"


def _tls(address: ServerAddress) -> ssl.SSLContext | None:
    if not address.is_tls:
        return None
    return ssl.create_default_context(cafile=address.ca_file)


def _line(text: object) -> str:
    return " ".join(str(text).split())[:REPLY_CHARS_MAX]
