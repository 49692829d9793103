"""The rates of one client and one shop over HTTP, and the headers that state them."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from harness import COLMENA_UUID, Service, eventually
from wire import CONVERSION, INTERACTIONS, TRACK, Reply

if TYPE_CHECKING:
    from harness import StartService

CALL = {"tenant_id": 1, "type": "call"}
VIEW = {"tenant_id": 1, "type": "view"}
PROXY = "127.0.0.1"
SCARCE = "1/h burst 2"
SCARCE_BYTES = "1KiB/min burst 100KiB"  # ten bodies of 10,000 bytes, and a part of one


def ask(service: Service, path: str, body: object, client: str | None = None) -> Reply:
    """POST it, for a client that the proxy names."""
    headers: Mapping[str, str | None] = {"X-Forwarded-For": client}
    return service.post(path, body, headers)


def statuses(service: Service, *clients: str | None) -> list[int]:
    """Return the response of a call to each client in turn."""
    return [ask(service, TRACK, CALL, client).status for client in clients]


def wide_body(body: Mapping[str, object]) -> bytes:
    """The same event in 10,000 bytes."""
    metadata = {"pad": "x" * 5000, "rest": ""}
    bare = len(json.dumps({**body, "metadata": metadata}))
    metadata["rest"] = "x" * (10_000 - bare)
    return json.dumps({**body, "metadata": metadata}).encode()


def remaining(reply: Reply) -> int:
    return int(reply.headers["X-RateLimit-Remaining"])


# -- what counts ------------------------------------------------------------------------------


def test_every_request_counts_whatever_became_of_it(start_service: StartService) -> None:
    """Not JSON, another type, too large, unknown shop, skipped: all bear the two headers."""
    service = start_service(role="collect", throttle_api="1/h burst 50")
    replies = [
        service.post(TRACK, b"{"),
        service.post(TRACK, CALL, {"Content-Type": "image/png"}),
        service.post(TRACK, b" " * 100_000),
        service.post(TRACK, {**CALL, "tenant_id": 999}),
        service.post(TRACK, {}),
        service.post(CONVERSION, b"{"),
        service.post(CONVERSION, {"tenant_slug": "la-colmena"}),
        service.post(TRACK, CALL),
    ]
    assert [reply.status for reply in replies] == [400, 415, 413, 404, 422, 200, 200, 202]
    assert [remaining(reply) for reply in replies] == list(range(49, 41, -1))
    assert {reply.headers["X-RateLimit-Limit"] for reply in replies} == {"50"}


def test_wrong_interactions_count_for_their_sender(start_service: StartService) -> None:
    """They are no shop's, whichever they name."""
    service = start_service(role="collect", throttle_tenant_aware=SCARCE, trusted_proxies=PROXY)
    wrong = [{}, {**VIEW, "type": "purchase"}, b"{"]
    sent = [ask(service, INTERACTIONS, body, "198.51.100.1") for body in wrong]
    assert [reply.status for reply in sent] == [422, 422, 429]
    assert ask(service, INTERACTIONS, VIEW, "198.51.100.1").status == 201
    assert ask(service, INTERACTIONS, b"{", "198.51.100.2").status == 400


def test_a_shop_has_one_bucket_however_it_is_named(start_service: StartService) -> None:
    """As a number, as digits, from anywhere; tracking has another limit."""
    service = start_service(role="collect", throttle_tenant_aware=SCARCE, trusted_proxies=PROXY)
    sent = [
        ask(service, INTERACTIONS, {"tenant_id": tenant, "type": "view"}, f"198.51.100.{n}")
        for n, tenant in enumerate([1, "1", "0001", 1.0])
    ]
    assert [reply.status for reply in sent] == [201, 201, 429, 429]
    assert ask(service, TRACK, {"tenant_id": COLMENA_UUID, "type": "call"}).status == 202


# -- who is asking ----------------------------------------------------------------------------


def test_a_subscribers_whole_ipv6_network_is_one_client(start_service: StartService) -> None:
    """The /64; its neighbour is another, and IPv4 within IPv6 is IPv4."""
    service = start_service(role="collect", throttle_api=SCARCE, trusted_proxies=PROXY)
    here = [f"2001:db8:0:1:{n}::{n}" for n in range(1, 4)]
    assert statuses(service, *here, "2001:db8:0:2::1") == [202, 202, 429, 202]
    mapped = ["::ffff:198.51.100.1", "198.51.100.1", "[::ffff:198.51.100.1]:443"]
    assert statuses(service, *mapped) == [202, 202, 429]


def test_of_a_chain_of_proxies_the_last_stranger_is_the_client(
    start_service: StartService,
) -> None:
    """Whatever it wrote itself to the left of its address."""
    service = start_service(
        role="collect", throttle_api=SCARCE, trusted_proxies=f"{PROXY},10.0.0.0/8"
    )
    invented = [f"203.0.113.{n}, 198.51.100.7, 10.0.0.1, 10.9.9.9" for n in range(3)]
    assert statuses(service, *invented) == [202, 202, 429]
    assert statuses(service, "198.51.100.8, 10.0.0.1") == [202]


def test_a_client_cannot_hide_behind_rubbish(start_service: StartService) -> None:
    """A text that is no address leaves the proxy's address, which counts as one client."""
    service = start_service(role="collect", throttle_api=SCARCE, trusted_proxies=PROXY)
    assert statuses(service, "unknown", "300.1.1.1", "1.2.3.4, _hidden") == [202, 202, 429]


def test_no_other_header_names_the_client(start_service: StartService) -> None:
    """Not even from a trusted proxy."""
    service = start_service(role="collect", throttle_api=SCARCE, trusted_proxies=PROXY)
    others = ["X-Real-IP", "Forwarded", "CF-Connecting-IP"]
    sent = [service.post(TRACK, CALL, {name: "198.51.100.1"}).status for name in others]
    assert sent == [202, 202, 429]


# -- the refusal ------------------------------------------------------------------------------


def test_who_comes_back_when_told_is_taken(start_service: StartService) -> None:
    """Retry-After is neither too early nor much too late."""
    service = start_service(role="collect", throttle_api="6/min burst 1")
    assert service.post(TRACK, CALL).status == 202
    refused = service.post(TRACK, CALL)
    assert refused.status == 429
    again_at_s = time.monotonic() + int(refused.headers["Retry-After"])
    eventually(lambda: time.monotonic() >= again_at_s)
    assert service.post(TRACK, CALL).status == 202


def test_a_refusal_is_readable_by_the_page_and_stores_nothing(start_service: StartService) -> None:
    """Nothing of it is in the log, neither as an event nor as rejected."""
    service = start_service(role="collect", throttle_api=SCARCE, segment_age_s=0.05)
    for _ in range(2):
        assert service.post(TRACK, CALL).status == 202
    for body in (CALL, {}, b"{"):
        refused = service.post(TRACK, body, {"Origin": "https://shop.example"})
        assert (refused.status, refused.body["success"]) == (429, False)
        assert refused.headers["Access-Control-Allow-Origin"] == "*"
        assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
        assert refused.headers["Content-Type"] == "application/json"
    assert service.stop() == 0
    assert (len(service.sealed()), service.sealed("rejected")) == (2, [])


def test_preflight_and_health_are_never_throttled(start_service: StartService) -> None:
    """They cost nothing."""
    service = start_service(role="collect", throttle_api="1/h burst 1")
    assert statuses(service, None, None) == [202, 429]
    assert service.request("OPTIONS", TRACK).status == 204
    assert service.get("/healthz").status == 200


# -- many workers -----------------------------------------------------------------------------


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """Only the other workers answer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_what_one_worker_took_another_does_not_give(start_service: StartService) -> None:
    """A client has one bucket, and a shop too, whichever worker answers."""
    service = start_service(
        role="collect", workers=2, throttle_api="1/h burst 3", throttle_tenant_aware=SCARCE
    )
    one, other = service.children()
    with halted(one):
        assert statuses(service, None, None) == [202, 202]
        assert ask(service, INTERACTIONS, VIEW).status == 201
    with halted(other):
        assert statuses(service, None, None) == [202, 429]
        assert [ask(service, INTERACTIONS, VIEW).status for _ in range(2)] == [201, 429]
    with halted(one):
        assert statuses(service, None) == [429]


def test_many_connections_to_two_workers_get_one_burst(start_service: StartService) -> None:
    """Not one request more or less, however they fall on the workers."""
    service = start_service(role="collect", workers=2, throttle_api="1/h burst 60")
    with ThreadPoolExecutor(32) as clients:
        sent = list(clients.map(lambda _: service.post(TRACK, CALL).status, range(200)))
    assert (sent.count(202), sent.count(429)) == (60, 140)


# -- one client, and the others of its tenant --------------------------------------------------


def sent_at_once(service: Service, *asked: tuple[str, object, str]) -> list[Reply]:
    """Return the status for each (path, body, client), over many connections."""
    with ThreadPoolExecutor(16) as clients:
        return list(clients.map(lambda one: ask(service, *one), asked))


def policies(replies: list[Reply]) -> set[str]:
    """The names of the policies that refused."""
    refused = [reply for reply in replies if reply.status == 429]
    return {reply.headers["RateLimit-Policy"].split('"')[1] for reply in refused}


@pytest.mark.parametrize("http_server", ["fast", "tornado"])
def test_one_client_cannot_shut_a_tenants_others_out(
    start_service: StartService, http_server: str
) -> None:
    """Of a tenant's burst it gets its share, on all workers together; the rest is for others."""
    service = start_service(
        role="collect",
        workers=2,
        http_server=http_server,
        trusted_proxies=PROXY,
        throttle_address="1/h burst 20",
        throttle_tenant_aware="1/h burst 60",
    )
    flood = sent_at_once(service, *[(INTERACTIONS, VIEW, "198.51.100.1")] * 150)
    assert [reply.status for reply in flood].count(201) == 20
    assert policies(flood) == {"address"}
    others = [(INTERACTIONS, VIEW, f"203.0.113.{n}") for n in range(50)]
    answers = sent_at_once(service, *others)
    assert [reply.status for reply in answers].count(201) == 40
    assert policies(answers) == {"tenant-aware"}
    assert ask(service, TRACK, CALL, "198.51.100.1").status == 202


def test_a_client_past_its_share_is_refused_before_its_body_is_read(
    start_service: StartService,
) -> None:
    """Neither as not JSON nor as another tenant's, and nothing of it is kept."""
    service = start_service(
        role="collect", throttle_address=SCARCE, trusted_proxies=PROXY, segment_age_s=0.05
    )
    client = "198.51.100.1"
    assert [ask(service, INTERACTIONS, VIEW, client).status for _ in range(2)] == [201, 201]
    for body in (b"{", {"tenant_id": 999, "type": "view"}, VIEW, b"[" * 50_000):
        refused = ask(service, INTERACTIONS, body, client)
        assert (refused.status, refused.headers["X-RateLimit-Limit"]) == (429, "2")
        assert refused.body["message"].startswith("Too many requests from this address")
    assert service.stop() == 0
    assert service.sealed("rejected") == []


def test_one_client_stores_no_more_bytes_than_its_budget(start_service: StartService) -> None:
    """On all endpoints and workers together, compressed or not; others store theirs."""
    service = start_service(
        role="collect", workers=2, trusted_proxies=PROXY, throttle_address_bytes=SCARCE_BYTES
    )
    bodies = [
        (TRACK, CALL),
        (INTERACTIONS, VIEW),
        (CONVERSION, {"tenant_slug": "la-colmena"}),
    ]
    wide = [(path, wide_body(body), "198.51.100.1") for path, body in bodies * 10]
    answers = sent_at_once(service, *wide)
    accepted = [reply.body for reply in answers if reply.status < 300]
    assert len(accepted) == 10
    assert "skipped" not in [body.get("status") for body in accepted]
    assert policies(answers) == {"address-bytes"}
    refused = ask(service, *wide[0])
    assert refused.body["message"].startswith("Too many bytes from this address; try again in ")
    assert int(refused.headers["Retry-After"]) > 60
    packed = gzip.compress(wide[0][1])
    headers = {"Content-Encoding": "gzip", "X-Forwarded-For": "198.51.100.1"}
    assert service.post(TRACK, packed, headers).status == 429
    assert ask(service, TRACK, CALL, "198.51.100.1").status == 202
    assert ask(service, TRACK, wide[0][1], "198.51.100.2").status == 202


def test_a_tenant_stores_no_more_bytes_than_its_budget(start_service: StartService) -> None:
    """However many clients send them; another tenant's are stored."""
    service = start_service(
        role="collect", workers=2, trusted_proxies=PROXY, throttle_tenant_bytes=SCARCE_BYTES
    )
    wide = [
        (path, wide_body(body), f"198.51.100.{n}")
        for n in range(10)
        for path, body in ((TRACK, CALL), (INTERACTIONS, VIEW))
    ]
    answers = sent_at_once(service, *wide)
    assert [reply.status < 300 for reply in answers].count(True) == 10
    assert policies(answers) == {"tenant-bytes"}
    other = wide_body({"tenant_id": 2, "type": "view"})
    assert ask(service, INTERACTIONS, other, "198.51.100.1").status == 201


# -- a worker that is killed -------------------------------------------------------------------


def test_a_restarted_worker_remembers_who_came_before(start_service: StartService) -> None:
    """Killing a worker gives nobody a second burst."""
    service = start_service(role="collect", throttle_api=SCARCE)
    assert statuses(service, None, None, None) == [202, 202, 429]
    (worker,) = service.children()
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: [pid for pid in service.children() if pid != worker])
    assert statuses(service, None) == [429]
