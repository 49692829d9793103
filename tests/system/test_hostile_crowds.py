"""Many hostile clients at once: nobody is shut out by them, and no memory stays with them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from harness import Service

if TYPE_CHECKING:
    from harness import StartService

CONNECTIONS_MAX = 64
TIMEOUT_S = 60.0
RECEIVE_BYTES = 4096
STRANGER = "127.0.0.2"
READY = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"
PORTS = ("fast", "tornado", "private")


def dial(url: str, address: str = "127.0.0.1") -> socket.socket:
    """A connection from one of this machine's addresses."""
    target = urlsplit(url)
    assert target.hostname and target.port
    peer = socket.socket()
    peer.settimeout(TIMEOUT_S)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    peer.bind((address, 0))
    peer.connect((target.hostname, target.port))
    return peer


@contextmanager
def crowd(
    url: str, count: int, said: bytes, address: str = STRANGER
) -> Iterator[list[socket.socket]]:
    """So many connections that have said this and say no more."""
    with ExitStack() as stack:
        peers = []
        for _ in range(count):
            peer = stack.enter_context(closing(dial(url, address)))
            with suppress(OSError):
                peer.sendall(said)
            peers.append(peer)
        yield peers


def asks(peer: socket.socket) -> bytes:
    """The status line of an answer on a connection that was there before."""
    peer.sendall(READY)
    return peer.recv(65536).partition(b"\r\n")[0]


OK = b"HTTP/1.1 200 OK"
SILENT = {
    "nothing": b"",
    "half a line": b"POST /he",
    "half a head": b"GET /readyz HTTP/1.1\r\nHost: a\r\nX-A: ",
    "half a body": b"POST /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
    "a whole request": READY,
}


@pytest.fixture(scope="module")
def services(start_shared_service: StartService) -> dict[str, tuple[Service, str]]:
    """A service and the address of its port, of each kind."""

    def started(port: str, role: str, **settings: object) -> tuple[Service, str]:
        service = start_shared_service(
            role=role, name=port, connections_max=CONNECTIONS_MAX, **settings
        )
        return service, service.reports_url if role == "warehouse" else service.url

    return {
        "fast": started("fast", "collect"),
        "tornado": started("tornado", "collect", http_server="tornado"),
        "private": started("private", "warehouse"),
    }


@pytest.mark.parametrize("said", SILENT)
@pytest.mark.parametrize("port", PORTS)
def test_silent_connections_shut_nobody_out(
    services: dict[str, tuple[Service, str]], port: str, said: str
) -> None:
    """Whatever they began: who comes is answered, of another address and of theirs; a connection
    of another address stays, because they have a share."""
    service, url = services[port]
    with closing(dial(url)) as kept:
        assert asks(kept) == OK
        with crowd(url, 2 * CONNECTIONS_MAX, SILENT[said]):
            for address in ("127.0.0.1", STRANGER) * 3:
                with closing(dial(url, address)) as newcomer:
                    assert asks(newcomer) == OK
            assert asks(kept) == OK
    assert " ERROR " not in service.log()


@pytest.mark.parametrize("port", ["fast", "tornado"])
def test_the_connection_idle_for_longest_gives_way(start_service: StartService, port: str) -> None:
    """Behind a trusted proxy, whose connections have no share, by the last request of each."""
    service = start_service(
        role="collect", http_server=port, connections_max=4, trusted_proxies="127.0.0.1"
    )
    url = service.url
    with crowd(url, 4, b"", "127.0.0.1") as peers:
        for peer in (peers[2], peers[0], peers[3], peers[1]):
            assert asks(peer) == OK
        with closing(dial(url)) as newcomer:
            assert asks(newcomer) == OK
        assert peers[2].recv(1) == b""
        for peer in (peers[0], peers[3], peers[1]):
            assert asks(peer) == OK
