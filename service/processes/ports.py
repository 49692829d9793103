"""The listening sockets of a start, and the limit of open files for its connections."""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from tornado.netutil import bind_sockets

log = logging.getLogger(__name__)

_BACKLOG = 1024
_OTHER_FILES = 256


class StartError(Exception):
    """The service cannot start. The message is one line that says what to change."""


@dataclass(frozen=True, slots=True)
class BoundPort:
    """A port with its bound sockets. `name` is `public`, `reports` or `metrics`."""

    name: str
    sockets: Sequence[socket.socket]

    def log_url(self) -> None:
        """Log the URL of the port."""
        address, number = self.sockets[0].getsockname()[:2]
        host = f"[{address}]" if ":" in address else address
        fields = {"port": self.name, "url": f"http://{host}:{number}"}
        log.info("listening", extra={"fields": fields})


def bind(name: str, host: str, number: int) -> BoundPort:
    """Bind a port. Raises StartError."""
    try:
        return BoundPort(name, bind_sockets(number, address=host, backlog=_BACKLOG))
    except OSError as error:
        raise StartError(f"{name} port {host}:{number}: {error.strerror or error}") from error


def allow_connections(connections_max: int) -> None:
    """Raise this process's limit of open files to what `connections_max` connections need.

    Raises StartError.
    """
    wanted = connections_max + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise StartError(f"connections_max needs {wanted} open files; ulimit -Hn allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
