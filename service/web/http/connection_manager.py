"""The server as its connections see it."""

from __future__ import annotations

from typing import Protocol, TypeVar

from service.web.http.exchange import Exchange, Peer, RequestHead
from service.web.http.head_cache import HeadCache

C_contra = TypeVar("C_contra", contravariant=True)


class ConnectionManager(Protocol[C_contra]):
    """The owner of connections of type `C_contra`, and of the resources that they share."""

    @property
    def tick(self) -> int:
        """Whole seconds since the server started."""

    @property
    def head_cache(self) -> HeadCache:
        """Request heads that were parsed before."""

    @property
    def read_buffer(self) -> memoryview:
        """A buffer for all connections; each one copies its input before the next one reads."""

    def next_activity(self) -> int:
        """Return a number greater than all before."""

    def admit(self, connection: C_contra) -> bool:
        """Accept a connection; False if there are too many."""

    def remove(self, connection: C_contra) -> None:
        """Forget a connection that is lost."""

    def flush_soon(self, connection: C_contra) -> None:
        """Call the connection's `flush` in this turn of the loop."""

    def open_exchange(self, peer: Peer, head: RequestHead) -> Exchange:
        """See ExchangeFactory.open."""
