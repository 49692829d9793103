"""Crowds of clients leave a process' memory where it was, on either port."""

from __future__ import annotations

import random
import re
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from examples import examples, share
from harness import Service, eventually
from wire import TRACK, connect, request

if TYPE_CHECKING:
    from harness import StartService

CLIENTS = 250
UNLIKE = CLIENTS * examples(40)
OWED_KIB_MAX = 128
GROWTH_MAX = 1.1
GIVEN_BACK_S = 120.0
CROWDS = 3
"""At most; the memory of a leak grows by the third as by the first."""
CALL = b'{"tenant_id":1,"type":"call"}'
SCRIPT = b"GET /beacon.js HTTP/1.1\r\nHost: a\r\n\r\n"
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
PORTS = ("fast", "tornado", "private")


class Port(NamedTuple):
    """A port, the service whose only port it is, and what is asked of it."""

    service: Service
    url: str
    page: bytes
    status: bytes

    def ask(self, host: str, *lines: str, question: str = "") -> bytes:
        """A request under this head, which is answered with `status`."""
        if self.page == SCRIPT:
            return event(host, *lines)
        head = [f"GET /api/v1/reports/summary?source={question} HTTP/1.1", f"Host: {host}", *lines]
        return "\r\n".join([*head, "", ""]).encode()


@pytest.fixture(scope="module", params=share(PORTS))
def port(request: pytest.FixtureRequest, start_shared_service: StartService) -> Port:
    """One process, behind a proxy on this machine, that has served as many honest clients."""
    settings = {
        "name": request.param,
        "trusted_proxies": "127.0.0.1",
        "compact_interval_s": 3600,
    }
    if request.param == "private":
        service = start_shared_service(role="warehouse", reports_token="t" * 32, **settings)
        service.wait_for_first_jobs()  # it takes memory once
        port = Port(service, service.reports_url, DOCUMENT, b"HTTP/1.1 401 Unauthorized")
    else:
        service = start_shared_service(
            role="collect", http_server=request.param, throttle_api="off", **settings
        )
        port = Port(service, service.url, SCRIPT, b"HTTP/1.1 202 Accepted")
    long = port.ask("warm.example", f"User-Agent: {'b' * 500}", f"Cookie: {'c' * 1600}")
    for said in (port.page, port.ask("warm.example"), long) * 8:
        ask_all(port.url, [said] * CLIENTS)
    return port


@contextmanager
def crowd(url: str) -> Iterator[list[socket.socket]]:
    """Connections at the same time."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(connect(url))) for _ in range(CLIENTS)]


def ask_all(url: str, requests: list[bytes]) -> list[bytes]:
    """The status lines of requests, each of a client of its own, all at the same time."""
    with crowd(url) as peers:
        for peer, sent in zip(peers, requests, strict=True):
            peer.sendall(sent)
        return [read_answer(peer).partition(b"\r\n")[0] for peer in peers]


def read_answer(peer: socket.socket) -> bytes:
    """One whole answer."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += receive(peer)
    head, _, body = said.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length, head
    while len(body) < int(length[1]):
        body += receive(peer)
    return head


def receive(peer: socket.socket) -> bytes:
    """More of an answer; it must not end yet."""
    more = peer.recv(1 << 20)
    assert more, "it was cut off"
    return more


def event(host: str, *lines: str) -> bytes:
    """An event under a head of its own."""
    length = f"Content-Length: {len(CALL)}"
    head = [f"POST {TRACK} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", length]
    return "\r\n".join([*head, *lines, "", ""]).encode() + CALL


def memory_kib(service: Service) -> int:
    """Resident memory of all that it started."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in service.children()]
    return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses)


def ask_and_do_not_read(peers: list[socket.socket], page: bytes) -> None:
    """Until no more is taken of any of them for a while."""
    asked = page * 5000
    for peer in peers:
        peer.settimeout(0)
    while writable := select.select([], peers, [], 1.0)[1]:
        for peer in writable:
            with suppress(BlockingIOError):
                peer.send(asked)


def is_given_back(port: Port, more_kib_max: float) -> bool:
    """Whether a crowd that does not read leaves the memory where it was, or little above."""
    before_kib = memory_kib(port.service)
    with crowd(port.url) as peers:
        ask_and_do_not_read(peers, port.page)
        assert request("GET", port.url + "/readyz").status == 200
        assert memory_kib(port.service) < before_kib + CLIENTS * OWED_KIB_MAX
    with suppress(AssertionError):
        return eventually(
            lambda: memory_kib(port.service) < before_kib + more_kib_max, GIVEN_BACK_S / CROWDS
        )
    return False


def test_clients_that_do_not_read_are_owed_little(port: Port) -> None:
    """However much they pipeline; and when they are gone so is what they were owed.

    The allocator may keep the room of one crowd for the next.
    """
    more_kib_max = (GROWTH_MAX - 1) * memory_kib(port.service)
    assert any(is_given_back(port, more_kib_max) for _ in range(CROWDS))
    assert request("GET", port.url + "/readyz").status == 200


def test_clients_that_are_all_unlike_leave_nothing(port: Port) -> None:
    """Addresses, user agents, heads and wrong tokens are remembered for the time that saves, within
    bounds."""
    before_kib = memory_kib(port.service)
    chance = random.Random(7)

    def unlike(number: int) -> bytes:
        return port.ask(
            f"shop-{number}.example",
            f"X-Forwarded-For: 10.1.{number >> 8}.{number & 255}",
            f"User-Agent: {chance.randbytes(chance.choice([20, 250])).hex()} {number}",
            f"Cookie: {chance.randbytes(chance.choice([0, 300, 800])).hex()}",
            f"Authorization: Bearer {chance.randbytes(16).hex()}",
            question=chance.randbytes(chance.choice([4, 200])).hex(),
        )

    for first in range(0, UNLIKE, CLIENTS):
        statuses = ask_all(port.url, [unlike(first + at) for at in range(CLIENTS)])
        assert set(statuses) == {port.status}
    eventually(lambda: memory_kib(port.service) < GROWTH_MAX * before_kib, GIVEN_BACK_S)
