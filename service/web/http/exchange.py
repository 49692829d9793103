"""The interfaces between a connection and its exchanges; one is a request and its response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(slots=True)
class RequestHead:
    """The head of a request.

    `fields` holds the header fields as received; `headers` maps lower-case names to values without
    surrounding blanks, repeated fields joined by commas. `target` is neither decoded nor split.
    """

    method: bytes
    target: bytes
    version: str
    fields: list[tuple[bytes, bytes]]
    headers: Mapping[bytes, bytes]
    headers_bytes: int
    keeps_alive: bool
    content_length: int = 0
    parsed: Any = None
    """The values that an exchange parsed from the fields, for later requests with the same head."""

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0] if b"?" in self.target else self.target

    def texts(self, names: Sequence[bytes]) -> list[str | None]:
        """Return the values of headers by their lower-case names; None for a missing one."""
        values = map(self.headers.get, names)
        return [None if value is None else value.decode("latin-1") for value in values]


class Exchange(Protocol):
    """One request and its response. The connection calls it as the request arrives, in order."""

    response: bytes | None
    """The whole response; None until it is ready, which `Peer.response_ready` signals."""
    closes: bool
    """Whether the connection closes after this response."""

    @property
    def blocks_pipeline(self) -> bool:
        """Whether later requests wait unread until this response is sent."""

    @property
    def is_full(self) -> bool:
        """Whether the body arrives faster than it is processed."""

    def on_body(self, chunk: bytes) -> None:
        """Take a part of the body; ignore it if the response is ready."""

    def on_end(self) -> None:
        """Process the request, which has arrived completely."""

    def on_disconnect(self) -> None:
        """Cancel: the request will not arrive completely, or nobody will read the response."""


class Peer(Protocol):
    """The connection as an exchange sees it."""

    @property
    def address(self) -> str:
        """The IP address of the client; empty for a Unix socket."""

    def response_ready(self, exchange: Exchange) -> None:
        """Send `exchange.response` once the responses to earlier requests were sent."""

    def resume(self) -> None:
        """Continue reading, because an exchange is no longer full."""

    def reject(self, exchange: Exchange, response: bytes) -> None:
        """Respond to a request that is not valid HTTP, and close the connection."""


class ExchangeFactory(Protocol):
    """The factory of a server's exchanges."""

    def open(self, peer: Peer, head: RequestHead) -> Exchange:
        """Open the exchange of a request whose head has arrived."""

    def refresh(self) -> None:
        """Drop cached values that are valid for a second; called every second."""
