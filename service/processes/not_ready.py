"""Retry the start of a process that cannot begin yet, and meanwhile respond "not ready".

A collector cannot begin without a series of the log and the directory, and either may be missing
for a while: the disk is full or fails, the database is down. The port is already bound, so without
a response its clients would hang.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from service.web.http.server import Server

log = logging.getLogger(__name__)

RETRY_S = 0.5

T = TypeVar("T")


class NotYet(Exception):
    """The process cannot begin now, but may later. The message is the reason, in one line."""


async def begin_or_retry(
    begin: Callable[[], Awaitable[T]],
    stop: asyncio.Event,
    sockets: Sequence[socket.socket],
    make_server: Callable[[Callable[[], Sequence[str]]], Server],
) -> T | None:
    """Return the result of begin(), retrying on NotYet; None once `stop` is set.

    Meanwhile a server responds on the sockets. `make_server` creates it, from a function that
    returns the reasons why the process is not ready. The sockets stay open afterwards.
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
    server.listen([bound.dup() for bound in sockets])  # the server closes the copies
    try:
        yield
    finally:
        server.stop()
        await server.close_all_connections()
