"""Crowds of clients leave a worker's memory where it was."""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Service, eventually
from wire import TRACK, connect

if TYPE_CHECKING:
    from harness import StartService

CLIENTS = 250
UNLIKE = 10_000
OWED_KIB_MAX = 128
GROWTH_MAX = 1.1
GIVEN_BACK_S = 30.0
CALL = b'{"tenant_id":1,"type":"call"}'
SCRIPT = b"GET /beacon.js HTTP/1.1\r\nHost: a\r\n\r\n"
SERVERS = ("fast", "tornado")


@pytest.fixture(params=SERVERS)
def worker(request: pytest.FixtureRequest, start_service: StartService) -> Service:
    """One worker, behind a proxy on this machine, that has served as many honest clients."""
    service = start_service(
        role="collect", http_server=request.param, throttle_api="off", trusted_proxies="127.0.0.1"
    )
    with crowd(service.url) as peers:
        long = event("warm.example", f"User-Agent: {'b' * 500}", f"Cookie: {'c' * 1600}")
        for said in (SCRIPT, event("warm.example"), long) * 8:
            ask_all(peers, [said] * len(peers))
    return service


@contextmanager
def crowd(url: str) -> Iterator[list[socket.socket]]:
    """Connections at the same time."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(connect(url))) for _ in range(CLIENTS)]


def ask_all(peers: list[socket.socket], requests: list[bytes]) -> list[bytes]:
    """The status lines of a request on each."""
    for peer, request in zip(peers, requests, strict=True):
        peer.sendall(request)
    return [peer.recv(65536).partition(b"\r\n")[0] for peer in peers]


def event(host: str, *lines: str) -> bytes:
    """An event under a head of its own."""
    length = f"Content-Length: {len(CALL)}"
    head = [f"POST {TRACK} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", length]
    return "\r\n".join([*head, *lines, "", ""]).encode() + CALL


def memory_kib(service: Service) -> int:
    """Resident memory of the one worker."""
    (pid,) = service.children()
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def ask_and_do_not_read(peers: list[socket.socket]) -> None:
    """Until no more is taken of any of them for a while."""
    asked = SCRIPT * 5000
    for peer in peers:
        peer.settimeout(0)
    while writable := select.select([], peers, [], 1.0)[1]:
        for peer in writable:
            with suppress(BlockingIOError):
                peer.send(asked)


def test_clients_that_do_not_read_are_owed_little(worker: Service) -> None:
    """However much they pipeline; and when they are gone so is what they were owed."""
    before_kib = memory_kib(worker)
    with crowd(worker.url) as peers:
        ask_and_do_not_read(peers)
        assert worker.get("/readyz").status == 200
        assert memory_kib(worker) < before_kib + CLIENTS * OWED_KIB_MAX
    eventually(lambda: memory_kib(worker) < GROWTH_MAX * before_kib, GIVEN_BACK_S)
    assert worker.get("/readyz").status == 200


def test_clients_that_are_all_unlike_leave_nothing(worker: Service) -> None:
    """Addresses, user agents and heads are remembered for the time that saves, within bounds."""
    before_kib = memory_kib(worker)
    chance = random.Random(7)

    def unlike(number: int) -> bytes:
        return event(
            f"shop-{number}.example",
            f"X-Forwarded-For: 10.1.{number >> 8}.{number & 255}",
            f"User-Agent: {chance.randbytes(chance.choice([20, 250])).hex()} {number}",
            f"Cookie: {chance.randbytes(chance.choice([0, 300, 800])).hex()}",
        )

    with crowd(worker.url) as peers:
        for first in range(0, UNLIKE, CLIENTS):
            statuses = ask_all(peers, [unlike(first + at) for at in range(CLIENTS)])
            assert set(statuses) == {b"HTTP/1.1 202 Accepted"}
    eventually(lambda: memory_kib(worker) < GROWTH_MAX * before_kib, GIVEN_BACK_S)
