"""How long a client may take, and what each port is not for."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections import Counter
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from harness import eventually
from wire import CONVERSION, INTERACTIONS, TRACK, Reply, connect, raw_post, read_reply

if TYPE_CHECKING:
    from harness import StartService

PATIENCE_S = 60.0
BODY = b'{"tenant_id":1,"type":"call"}'


def read_next(peer: socket.socket) -> Reply:
    """The answer on a connection that carries one at a time."""
    response = http.client.HTTPResponse(peer)
    response.begin()
    return read_reply(response)


def test_a_client_that_never_ends_its_body_is_cut_off(start_service: StartService) -> None:
    """After 15 s, though it goes on with others; a slow one that ends in time is served. For a
    head it is 10 s, of a connection's second request too."""
    service = start_service(role="collect")
    with (
        closing(connect(service.url, PATIENCE_S)) as never,
        closing(connect(service.url, PATIENCE_S)) as slow,
        closing(connect(service.url, PATIENCE_S)) as second,
    ):
        second.sendall(raw_post(TRACK, BODY))
        assert read_next(second).status == 202
        second.sendall(raw_post(TRACK, BODY)[:20])
        for peer in (never, slow):
            peer.sendall(raw_post(TRACK, BODY)[:-1])
        assert service.post(TRACK, BODY).status == 202
        slow.sendall(BODY[-1:])
        assert read_next(slow).status == 202
        assert second.recv(1) == b""
        assert never.recv(1) == b""


def test_a_client_that_is_cut_off_by_a_drain_may_send_again(start_service: StartService) -> None:
    """Its event was never whole: 503 with Retry-After, and nothing is stored."""
    service = start_service(role="collect")
    with closing(connect(service.url, PATIENCE_S)) as peer:
        peer.sendall(raw_post(TRACK, BODY)[:-1])
        assert service.post(TRACK, BODY).status == 202
        assert service.stop() == 0
        reply = read_next(peer)
    assert (reply.status, reply.body["success"]) == (503, False)
    assert int(reply.headers["Retry-After"]) >= 1
    assert len(service.sealed()) == 1
    assert " WARN" not in service.log()


def test_a_connection_carries_many_requests(start_service: StartService) -> None:
    """Also after those that were refused, and those sent before the answer to the one before."""
    service = start_service(role="collect", throttle_api="off")
    bodies = [BODY, b" " * 100_000, b"{", BODY, b"", BODY] * 5
    sent = [raw_post(TRACK, body) for body in bodies[:-1]]
    with closing(connect(service.url)) as peer:
        peer.sendall(b"".join([*sent, raw_post(TRACK, bodies[-1], "Connection: close")]))
        answers = b"".join(iter(partial(peer.recv, 65536), b""))
    answered = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]
    assert answered == [202, 413, 400, 202, 400, 202] * 5


def test_a_client_that_reads_late_gets_every_answer(start_service: StartService) -> None:
    """In order, however much it asked before it began to read."""
    service = start_service(role="collect")
    asked = [b"/healthz", b"/nowhere", b"/readyz"] * 10_000
    requests = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in asked)
    with closing(connect(service.url, PATIENCE_S)) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sender = threading.Thread(target=peer.sendall, args=[requests])
        sender.start()
        sender.join(1.0)
        answers = peer.makefile("rb")
        answered = [http_status(answers) for _ in asked]
        sender.join()
    assert answered == [200, 404, 200] * 10_000


def http_status(stream: BinaryIO) -> int:
    """The status of the next answer, which is read to its end."""
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) != b"\r\n":
        name, _, text = line.partition(b":")
        if name == b"Content-Length":
            length = int(text)
    stream.read(length)
    return status


def test_workers_share_few_connections(start_service: StartService) -> None:
    """None is left idle by another that takes all."""
    service = start_service(role="collect", workers=2, throttle_api="off")
    eventually(lambda: service.log().count(" collecting ") == 2)
    with ExitStack() as stack:
        for _ in range(30):
            peer = stack.enter_context(closing(connect(service.url, PATIENCE_S)))
            for _ in range(2):
                peer.sendall(raw_post(TRACK, BODY))
                assert read_next(peer).status == 202
        assert service.stop() == 0
    lines = Counter[str]()
    for segment in service.data.glob("log/*/*.ndjson"):
        lines[segment.parent.name] += segment.read_bytes().count(b"\n")
    assert sum(lines.values()) == 60
    assert len(lines) == 2


def test_each_port_is_for_its_own_alone(start_service: StartService) -> None:
    """Nothing private is told on the public one; no event is taken on the private one."""
    service = start_service()
    for path in ("/api/v1/reports", "/api/v1/reports/summary", "/metrics"):
        assert service.get(path).status == 404
    body = {"tenant_id": 1, "tenant_slug": "la-colmena", "type": "whatsapp_click"}
    for path in (TRACK, CONVERSION, INTERACTIONS):
        assert service.request("POST", path, body, base=service.reports_url).status == 404
