"""Clients that break HTTP, hang up, or hang on: answered where they can be, survived always.

One service takes all of it. The test at the end stops it and looks at what it has stored.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from harness import Service
from wire import CONVERSION, INTERACTIONS, TRACK, connect, converse, raw_post

if TYPE_CHECKING:
    from harness import StartService

MARK = "MARKER-0123456789"
MIB = 1 << 20
CALL = b'{"tenant_id":1,"type":"call","metadata":{"from":"good"}}'
SKIPPED = {"status": "skipped", "transaction_id": None}
REASONS = {413: "body-too-large", 431: "headers-too-large"}
STORMS = 4
STORM_CLIENTS = 200


class Shared:
    """The service, its processes, and how many good events it took."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.url = service.url
        self.processes = service.children()
        self.accepted = 0

    def takes_a_good_event(self) -> None:
        assert self.service.post(TRACK, CALL).status == 202
        self.accepted += 1


@pytest.fixture(scope="module")
def shared(start_shared_service: StartService) -> Shared:
    return Shared(start_shared_service(workers=2, throttle_api="off", throttle_tenant_aware="off"))


@pytest.fixture(scope="module", autouse=True)
def half_open(shared: Shared) -> Iterator[None]:
    """Connections that were begun and left, on both workers, for as long as the tests run."""
    with ExitStack() as stack:
        for begun in (b"", b"POST ", raw_post(TRACK, CALL)[:-9]) * 20:
            peer = stack.enter_context(closing(connect(shared.url)))
            peer.sendall(begun)
        yield


# -- not HTTP ---------------------------------------------------------------------------------

NOT_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(90) + b"\r\n\r\n",
    "no version": f"POST {TRACK}\r\n\r\n".encode(),
    "another version": f"POST {TRACK} HTTP/9.9\r\nHost: shop\r\n\r\n".encode(),
    "another protocol": b"EHLO mail.example\r\n\r\n",
    "no host": f"POST {TRACK} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode(),
    "two lengths": raw_post(TRACK, CALL, f"Content-Length: {len(MARK)}"),
    "length and chunks": raw_post(TRACK, CALL, "Transfer-Encoding: chunked"),
    "a negative length": raw_post(TRACK, b"", "Content-Length: -1", length=False),
    "a length with a sign": raw_post(TRACK, CALL, f"Content-Length: +{len(CALL)}", length=False),
    "a length in words": raw_post(TRACK, CALL, f"Content-Length: {MARK}", length=False),
    "a coding of chunks": raw_post(TRACK, CALL, "Transfer-Encoding: gzip, chunked", length=False),
    "a chunk of no size": raw_post(TRACK, b"zz\r\n", "Transfer-Encoding: chunked", length=False),
    "a header without a colon": raw_post(TRACK, CALL, MARK),
    "a folded header": raw_post(TRACK, CALL, "X-Fold: a\r\n b"),
    "a NUL in a header": raw_post(TRACK, CALL, f"X-Nul: {MARK}\0"),
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_is_a_400_in_json(shared: Shared, name: str) -> None:
    """And the end of the connection; what was sent is not repeated."""
    reply = converse(shared.url, NOT_HTTP[name])
    assert reply is not None
    assert reply.status == 400
    assert (reply.headers["Content-Type"], reply.headers["Connection"]) == (
        "application/json",
        "close",
    )
    assert reply.body["success"] is False
    assert MARK not in str(reply.body)


def test_the_private_port_says_it_alike(shared: Shared) -> None:
    """It has the same server."""
    reply = converse(shared.service.reports_url, NOT_HTTP["TLS"])
    assert reply is not None
    assert (reply.status, reply.body["success"]) == (400, False)


# -- a conversion never disturbs its page -----------------------------------------------------


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


UNREADABLE = {
    "a flood": raw_post(CONVERSION, b" " * (20 * MIB)),
    "a flood in chunks": raw_post(
        CONVERSION, chunked(b" " * (20 * MIB)), "Transfer-Encoding: chunked", length=False
    ),
    "a terabyte to come": raw_post(CONVERSION, b"", f"Content-Length: {1 << 40}", length=False),
    "many cookies": raw_post(CONVERSION, b"{}", f"Cookie: {'x' * 9000}"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_conversion_that_cannot_be_read_is_skipped(shared: Shared, name: str) -> None:
    """200 as for any other, with the fault that other endpoints name by their status."""
    reply = converse(shared.url, UNREADABLE[name])
    assert reply is not None
    told = converse(shared.url, UNREADABLE[name].replace(CONVERSION.encode(), TRACK.encode(), 1))
    assert told is not None
    assert told.body["success"] is False
    assert (reply.status, reply.body) == (200, SKIPPED | {"reason": REASONS[told.status]})


def test_another_method_is_refused_where_conversions_are_taken(shared: Shared) -> None:
    """Skipping is for beacons."""
    flood = raw_post(CONVERSION, b"", f"Cookie: {'x' * 9000}").replace(b"POST", b"PUT", 1)
    reply = converse(shared.url, flood, method="PUT")
    assert reply is not None
    assert reply.status == 431


# -- odd, but HTTP ----------------------------------------------------------------------------

ODD = {
    "HTTP/1.0": raw_post(TRACK, CALL).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "chunks": raw_post(TRACK, chunked(CALL), "Transfer-Encoding: chunked", length=False),
    "an unknown expectation": raw_post(TRACK, CALL, "Expect: the-unexpected"),
    "an upgrade": raw_post(TRACK, CALL, "Connection: Upgrade", "Upgrade: h2c"),
    "an empty line before": b"\r\n" + raw_post(TRACK, CALL),
    "a query": raw_post(f"{TRACK}?{MARK}=%ff&&=", CALL),
    "bytes in headers": raw_post(TRACK, CALL, "X-Forwarded-For: \xff\xfe", "Cookie: \xe9"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_http_is_taken(shared: Shared, name: str) -> None:
    """No client has to be a browser."""
    reply = converse(shared.url, ODD[name])
    assert reply is not None
    assert reply.status == 202, reply.body
    shared.accepted += 1


@pytest.mark.parametrize(
    "path",
    ["/", "//", f"{TRACK}/", f"/{TRACK}", "/api/v1/interactions%00", "/%ff", "*", "/..//etc"],
)
def test_a_route_there_is_not_is_a_404(shared: Shared, path: str) -> None:
    """However near it comes to one there is; the path is not repeated."""
    reply = converse(shared.url, raw_post(path, CALL))
    assert reply is not None
    assert (reply.status, reply.body["success"]) == (404, False)
    assert "etc" not in str(reply.body)


# -- hanging up -------------------------------------------------------------------------------

WHOLE = [
    raw_post(path, body, *lines)
    for path in (TRACK, CONVERSION, INTERACTIONS, "/nowhere")
    for body in (b"{}", b"{", b" " * 100_000, b"[" * 50_000)
    for lines in ((), ("Content-Encoding: gzip",), ("Expect: 100-continue",))
] + [*NOT_HTTP.values(), b"\r\n" * 500, bytes(5000)]


def reset(peer: socket.socket) -> None:
    """Close without the courtesies of TCP."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def storm(url: str, seed: int) -> None:
    """Clients one after the other: cut short, garbled, many requests at once, hung up on."""
    chance = random.Random(seed)
    for _ in range(STORM_CLIENTS):
        sent = bytearray(chance.choice(WHOLE) * chance.choice([1, 1, 1, 10]))
        for _ in range(chance.choice([0, 0, 5])):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        until = chance.choice([len(sent), chance.randrange(len(sent))])
        with suppress(OSError), closing(connect(url)) as peer:
            peer.sendall(sent[:until])
            if chance.random() < 0.5:
                peer.settimeout(0.02)
                with suppress(TimeoutError):
                    peer.recv(chance.choice([1, 65536]))
            if chance.random() < 0.6:
                reset(peer)


def test_clients_that_hang_up_at_any_moment_do_no_harm(shared: Shared) -> None:
    """Hundreds of them, at once, after any byte; others are served meanwhile."""
    clients = [
        threading.Thread(target=storm, args=(shared.url, seed), daemon=True)
        for seed in range(STORMS)
    ]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        shared.takes_a_good_event()
    assert shared.service.get("/readyz").status == 200


# -- what is left -----------------------------------------------------------------------------


def test_after_all_of_it_only_the_good_is_stored(shared: Shared) -> None:
    """The same processes still serve, the log is clean, the drain is quick, the books agree."""
    service = shared.service
    shared.takes_a_good_event()
    assert service.children() == shared.processes
    assert service.stop() == 0
    log = service.log()
    assert [word for word in ("Traceback", " ERROR ", " WARN", MARK) if word in log] == []
    good = [record for record in service.sealed() if record["metadata"] == {"from": "good"}]
    assert len(good) == len(service.sealed()) == shared.accepted
    compacted: dict[str, Any] = json.loads(service.command("compact", "--json").stdout)
    assert (compacted["rows"], compacted["duplicates"]) == (shared.accepted, 0)
    assert service.command("check").returncode == 0
