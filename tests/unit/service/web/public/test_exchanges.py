"""Requests on a fast server that Tornado's handlers answer: what a client leaves behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from connection_tools import FakeManager, FakeTransport
from port_tools import port

from service.collector.intake import Reply
from service.shared.request_counters import RequestCounters
from service.web.http.connection import Connection
from service.web.http.exchange import Exchange, Peer, RequestHead
from service.web.http.head_cache import HeadCache
from service.web.public.app import IngestRoute, Port, make_app
from service.web.public.exchanges import PublicExchanges

PATH = "/endpoint"
TURNS_MAX = 8
"""Turns of the loop after which a handler waits for the body."""


class Server(FakeManager):
    """A server of one route."""

    def __init__(self, served: Port) -> None:
        super().__init__(HeadCache())
        self._exchanges = PublicExchanges(make_app(served), served)

    def open_exchange(self, peer: Peer, head: RequestHead) -> Exchange:  # type: ignore[override]
        return self._exchanges.open(peer, head)


@pytest.mark.parametrize("turns", range(TURNS_MAX))
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
def test_a_client_that_leaves_is_not_in_flight(method: str, turns: int) -> None:
    """Before its body is complete, however many turns of the loop after its head."""

    async def scenario() -> None:
        counters = RequestCounters([PATH], 1).route(PATH, 0)
        route = IngestRoute(PATH, lambda _: Reply(202, {}), counters, 1024)
        served = replace(port(), routes=(route,))
        connection = Connection(Server(served))
        connection.connection_made(FakeTransport())
        head = f"{method} {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
        connection.data_received(head.encode())
        for _ in range(turns):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        for _ in range(2 * TURNS_MAX):
            await asyncio.sleep(0)
        assert not served.in_flight.requests

    asyncio.run(scenario())
