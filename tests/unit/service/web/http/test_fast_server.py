"""The fast server on a real socket: what it accepts it also closes."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from service.web.http.exchange import Exchange, Peer, RequestHead
from service.web.http.fast_server import FastServer

TURNS_MAX = 6


class NoExchanges:
    """No request arrives."""

    def open(self, peer: Peer, head: RequestHead) -> Exchange:
        raise NotImplementedError

    def refresh(self) -> None: ...


@pytest.mark.parametrize("turns", range(TURNS_MAX))
def test_closing_all_connections_leaves_none(turns: int) -> None:
    """Not the one that is being accepted either, at any turn of the loop."""

    async def scenario() -> None:
        server = FastServer(NoExchanges(), lambda _: None, connections_max=10)
        listening = socket.create_server(("127.0.0.1", 0))
        server.listen([listening.dup()])
        with listening, socket.create_connection(listening.getsockname()) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            server.stop()
            listening.close()  # what was not accepted ends with the last that could accept it
            await server.close_all_connections()
            client.settimeout(60)
            await asyncio.to_thread(_assert_closed, client)

    asyncio.run(scenario())


def _assert_closed(client: socket.socket) -> None:
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""
