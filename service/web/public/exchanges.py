"""Exchanges of the public port: the hot path for ingest requests, Tornado's handlers for others."""

from __future__ import annotations

from tornado import httputil

from service.web.http.exchange import Exchange, Peer, RequestHead
from service.web.http.tornado_exchange import TornadoExchange
from service.web.public.app import Port
from service.web.public.ingest import Ingest


class PublicExchanges:
    """The ExchangeFactory of a FastServer on the public port."""

    def __init__(self, app: httputil.HTTPServerConnectionDelegate, port: Port) -> None:
        self._app = app
        self._ingest = Ingest(port)

    def open(self, peer: Peer, head: RequestHead) -> Exchange:
        """See ExchangeFactory.open."""
        return self._ingest.open(peer, head) or TornadoExchange(peer, self._app, head)

    def refresh(self) -> None:
        """See ExchangeFactory.refresh."""
        self._ingest.response_heads.expire()
