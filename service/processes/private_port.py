"""A port with access rules: the private port of a warehouse, or `metrics_port`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tornado import web

from service.collector.client import ClientAddress
from service.processes.shared_files import Pulling
from service.web.http.stock_server import BoundedServer
from service.web.private.access import Access
from service.web.private.tokens import TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePort:
    """The operator's choices for the port, which is bound to `host`.

    `token` is the setting `reports_token`, `opened` is `reports_open`.
    """

    host: str
    token: str
    opened: bool
    trusted_proxies: Sequence[str]
    connections_max: int

    def access(self, tokens: TokenStore, pulling: Pulling) -> Access:
        """Return the access rules, with tokens that `pulling` keeps up to date."""
        return Access(
            self.token,
            tokens,
            self.host,
            opened=self.opened,
            proxies=ClientAddress(self.trusted_proxies),
            newer=pulling.newer,
        )

    def server(self, app: web.Application, access: Access) -> BoundedServer:
        """Return the server of an application with these access rules."""
        return BoundedServer(app, access.proxies, connections_max=self.connections_max)
