"""A process that cannot begin yet answers that it is not ready, and tries again.

What a collector begins with (its series of the log, the directory) may be out of reach for a
while: the disk is full or fails, the database is down. The port is bound already, so its clients
would hang.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from service.web.http.stock_server import Server

log = logging.getLogger(__name__)

RETRY_S = 0.5

T = TypeVar("T")


class NotYet(Exception):
    """It cannot begin now, for a reason that may pass; the message is that reason, one line."""


async def begun(
    begin: Callable[[], Awaitable[T]],
    stop: asyncio.Event,
    sockets: Sequence[socket.socket],
    make_server: Callable[[Callable[[], Sequence[str]]], Server],
) -> T | None:
    """What `begin` comes to, tried again for as long as it raises NotYet; None once `stop` is set.

    Meanwhile the server that `make_server` makes, of a function that tells why, answers on the
    sockets. They stay open.
    """
    try:
        return await begin()
    except NotYet as error:
        reasons = [str(error)]
    log.error("not ready", extra={"fields": {"why": reasons[0]}})
    async with _answering(make_server(lambda: reasons), sockets):
        while not await _is_set_within(stop, RETRY_S):
            try:
                return await begin()
            except NotYet as error:
                reasons[0] = str(error)
    return None


async def _is_set_within(stop: asyncio.Event, timeout_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout_s)
    return stop.is_set()


@asynccontextmanager
async def _answering(server: Server, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    server.listen([one.dup() for one in sockets])  # it closes what it listens on
    try:
        yield
    finally:
        server.stop()
        await server.close_all_connections()
