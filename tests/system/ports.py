"""Ports for processes that must be told theirs, such as a proxy or a store.

The kernel takes the ports of all other sockets from its own range. A free port of that range may
be somebody else's by the time the process binds it; one below belongs to those who ask here.
"""

from __future__ import annotations

import random
import socket
from itertools import islice

_PORTS = range(10_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens on."""
    tried = random.SystemRandom().sample(_PORTS, len(_PORTS))
    return list(islice(filter(is_free, tried), count))


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
