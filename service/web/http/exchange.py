"""What a connection and an exchange, one request and its answer, know of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Request:
    """A request's head. `fields` as they came; `headers` by lower-case name, repeated ones joined
    by commas, values without blanks around them. `target` is neither decoded nor split."""

    method: bytes
    target: bytes
    version: str
    fields: list[tuple[bytes, bytes]]
    headers: Mapping[bytes, bytes]
    headers_bytes: int
    keeps_alive: bool
    content_length: int = 0
    said: object = None
    """What the exchange of an earlier request with the same head has made of it."""

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0] if b"?" in self.target else self.target

    def text(self, name: bytes) -> str | None:
        """A header by its lower-case name."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class Exchange(Protocol):
    """One request and its answer. The connection tells what arrives, in order."""

    answer: bytes | None
    """The whole answer, None until it is there; `Peer.answered` says that it is."""
    closes: bool
    """Whether the connection ends with this answer."""

    @property
    def is_alone(self) -> bool:
        """Whether nothing is read behind it before it was answered."""

    @property
    def is_full(self) -> bool:
        """Whether the body comes faster than it is taken."""

    def data(self, chunk: bytes) -> None:
        """More of the body; it may come after the answer and is of no use then."""

    def end(self) -> None:
        """The request has arrived whole."""

    def lost(self) -> None:
        """Nobody waits for the answer, and no more of the request will come."""


class Peer(Protocol):
    """The connection as an exchange sees it."""

    @property
    def address(self) -> str:
        """The IP address of the peer; empty for a Unix socket."""

    def answered(self, exchange: Exchange) -> None:
        """`exchange.answer` is there; it is sent when those of earlier requests were."""

    def drained(self) -> None:
        """An exchange that was full no longer is."""

    def refuse(self, exchange: Exchange, answer: bytes) -> None:
        """End the connection with this answer to a request that is not HTTP."""
