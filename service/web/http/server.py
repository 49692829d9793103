"""The interface that both HTTP servers have."""

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
        """Close every connection, whatever it waits for."""

    async def cut_off(self) -> None:
        """Answer waiting requests with 503 as the process ends; close all connections."""
