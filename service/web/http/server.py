"""The interface of both HTTP servers."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Protocol


class Server(Protocol):
    """An HTTP server that stops in steps."""

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Take over these sockets and accept connections on them."""

    def stop(self) -> None:
        """Close the listening sockets; open connections stay."""

    async def close_all_connections(self) -> None:
        """Close every connection, even if it waits for a response."""

    async def cut_off(self) -> None:
        """Respond to waiting requests with 503, because the process is ending; close all."""
