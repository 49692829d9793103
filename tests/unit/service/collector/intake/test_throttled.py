"""The throttle of the endpoints: requests and bytes, of addresses and tenants."""

import gzip
import json
from pathlib import Path

import pytest
from intake_tools import (
    ENDPOINTS,
    INTERACTION,
    NOW,
    TRACK,
    VALID,
    Collector,
)

from service.collector.journal import JournalFull
from service.collector.throttle.token_bucket import Rate

pytestmark = pytest.mark.usefixtures("gates")


def scarce(burst: int) -> Rate:
    """One a minute."""
    return Rate(per_s=1 / 60, burst=burst)


ADDRESS_LIMITS: dict[str, dict[str, Rate]] = {
    "track": {"api": scarce(1)},
    "conversion": {"api": scarce(1)},
    "interactions": {"address": scarce(1), "tenant_aware": scarce(9)},
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_throttle_comes_first(tmp_path: Path, endpoint: str) -> None:
    """Past its rate an address is refused before anything is read, asked or stored."""
    collector = Collector(tmp_path, **ADDRESS_LIMITS[endpoint])
    collector.directory.cold = True
    collector.send(endpoint, VALID[endpoint])
    before = len(collector.journal.lines), collector.directory.questions
    reply = collector.send(endpoint, b"{")
    assert reply.status == 429
    assert reply.body["success"] is False
    assert (len(collector.journal.lines), collector.directory.questions) == before
    assert collector.send(endpoint, VALID[endpoint], ip="203.0.113.8").status in (200, 201, 202)


def test_a_throttled_client_is_told_when_to_come_back(tmp_path: Path) -> None:
    """All the headers, old names and new; and after that time it is let in."""
    collector = Collector(tmp_path, api=scarce(2))
    for _ in range(2):
        collector.send("track", TRACK)
    headers = collector.send("track", TRACK).headers
    assert headers["Retry-After"] == "60"
    assert headers["X-RateLimit-Limit"] == "2"
    assert headers["X-RateLimit-Remaining"] == "0"
    assert int(headers["X-RateLimit-Reset"]) == int(NOW.timestamp()) + 61
    assert set(headers) >= {"RateLimit", "RateLimit-Policy"}
    collector.monotonic_s += int(headers["Retry-After"])
    assert collector.send("track", TRACK).status == 202


def test_every_answer_says_how_many_are_left(tmp_path: Path) -> None:
    """Also a refusal, also our own fault."""
    collector = Collector(tmp_path, api=scarce(9))
    collector.send("track", b"{")
    collector.journal.refuses_at_once = JournalFull("full")
    reply = collector.send("track", TRACK)
    assert reply.status == 503
    assert reply.headers["X-RateLimit-Remaining"] == "7"
    assert reply.headers["Retry-After"] == "2"


def test_an_ipv6_client_is_its_network(tmp_path: Path) -> None:
    """Addresses of one /64 share a bucket."""
    collector = Collector(tmp_path, api=scarce(1))
    assert collector.send("track", TRACK, ip="2001:db8::1").status == 202
    assert collector.send("track", TRACK, ip="2001:db8::ffff").status == 429
    assert collector.send("track", TRACK, ip="2001:db8:0:1::1").status == 202


def test_interactions_are_throttled_by_tenant(tmp_path: Path) -> None:
    """Whatever address they come from; one shop's crowd is not another's."""
    collector = Collector(tmp_path, tenant_aware=scarce(1))
    assert collector.send("interactions", INTERACTION).status == 201
    assert collector.send("interactions", INTERACTION, ip="203.0.113.8").status == 429
    assert collector.send("interactions", INTERACTION | {"tenant_id": "17"}).status == 429
    assert collector.send("interactions", INTERACTION | {"tenant_id": 18}).status == 201


def test_unknown_tenants_share_their_clients_bucket(tmp_path: Path) -> None:
    """Made-up tenants give an address no more than one bucket, and take none from a shop."""
    collector = Collector(tmp_path, tenant_aware=scarce(1))
    assert collector.send("interactions", INTERACTION | {"tenant_id": 98}).status == 202
    assert collector.send("interactions", INTERACTION | {"tenant_id": 99}).status == 429
    assert collector.send("interactions", b"{").status == 429
    assert collector.send("interactions", INTERACTION).status == 201
    assert len(collector.journal.lines) == 2


def test_one_address_takes_no_more_than_its_share_of_a_tenant(tmp_path: Path) -> None:
    """Its tenant's other visitors get theirs; each refusal tells whose bucket it was."""
    collector = Collector(tmp_path, address=scarce(2), tenant_aware=scarce(5))
    sent = [collector.send("interactions", INTERACTION) for _ in range(6)]
    assert [reply.status for reply in sent] == [201, 201, 429, 429, 429, 429]
    assert sent[1].headers["X-RateLimit-Limit"] == "5"
    assert sent[1].headers["X-RateLimit-Remaining"] == "3"
    assert sent[2].headers["X-RateLimit-Limit"] == "2"
    assert sent[2].headers["RateLimit-Policy"].startswith('"address";q=2;')
    assert sent[2].body["message"] == "Too many requests from this address; try again in 60 s"
    others = [
        collector.send("interactions", INTERACTION, ip=f"203.0.113.{n}") for n in range(8, 12)
    ]
    assert [reply.status for reply in others] == [201, 201, 201, 429]
    assert others[3].headers["RateLimit-Policy"].startswith('"tenant-aware";q=5;')
    assert others[3].body["message"] == "Too many requests for this tenant; try again in 60 s"


def test_a_group_that_is_off_is_limited_by_nothing(tmp_path: Path) -> None:
    """Not by its address, nor by bytes; and there is nothing to tell."""
    few = scarce(1)
    collector = Collector(tmp_path, address=few, address_bytes=few, tenant_bytes=few)
    for endpoint, accepted in (("track", 202), ("conversion", 200), ("interactions", 201)):
        sent = [collector.send(endpoint, VALID[endpoint]) for _ in range(3)]
        assert [(reply.status, dict(reply.headers)) for reply in sent] == [(accepted, {})] * 3


# -- bytes ------------------------------------------------------------------------------------


def generous(**limits: Rate) -> dict[str, Rate]:
    """Groups that are on, and never in the way."""
    return {name: scarce(1000) for name in ("api", "address", "tenant_aware")} | limits


def padded(endpoint: str, size_bytes: int) -> bytes:
    """A valid body of that size."""
    body = VALID[endpoint] | {"metadata": {"pad": ""}}
    spare = size_bytes - len(json.dumps(body))
    return json.dumps(body | {"metadata": {"pad": "x" * spare}}).encode()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_address_has_a_budget_of_bytes(tmp_path: Path, endpoint: str) -> None:
    """Over all endpoints; a refusal says which budget it was, and when to come back."""
    collector = Collector(tmp_path, **generous(address_bytes=Rate(per_s=100, burst=2000)))
    assert collector.send("track", padded("track", 1200)).status == 202
    refused = collector.send(endpoint, padded(endpoint, 1000))
    assert refused.status == 429
    assert refused.body["message"] == "Too many bytes from this address; try again in 2 s"
    assert refused.headers["Retry-After"] == "2"
    assert refused.headers["X-RateLimit-Limit"] == "2000"
    assert refused.headers["X-RateLimit-Remaining"] == "800"
    assert refused.headers["RateLimit-Policy"] == '"address-bytes";q=2000;w=20;qu="content-bytes"'
    assert collector.send(endpoint, padded(endpoint, 800)).status in (200, 201, 202)
    other = collector.send(endpoint, padded(endpoint, 2000), ip="203.0.113.8")
    assert other.status in (200, 201, 202)
    collector.monotonic_s += 10
    assert collector.send(endpoint, padded(endpoint, 1000)).status in (200, 201, 202)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_tenant_has_a_budget_of_bytes(tmp_path: Path, endpoint: str) -> None:
    """Whatever addresses they come from; another tenant has its own."""
    collector = Collector(tmp_path, **generous(tenant_bytes=Rate(per_s=100, burst=2000)))
    assert collector.send("track", padded("track", 1200)).status == 202
    refused = collector.send(endpoint, padded(endpoint, 1000), ip="203.0.113.8")
    assert refused.status == 429
    assert refused.body["message"] == "Too many bytes for this tenant; try again in 2 s"
    assert refused.headers["X-RateLimit-Limit"] == "2000"
    assert len(collector.events) == 1
    other = {"tenant_id": 18} if endpoint != "conversion" else {"tenant_slug": "el-faro"}
    body = json.loads(padded(endpoint, 1000)) | other
    assert collector.send(endpoint, body).status in (200, 201, 202)


def test_a_refusal_by_bytes_costs_no_request(tmp_path: Path) -> None:
    """A refused request takes nothing from any bucket of the address."""
    limits = generous(api=scarce(2), address_bytes=Rate(per_s=1, burst=1000))
    collector = Collector(tmp_path, **limits)
    assert collector.send("track", padded("track", 900)).headers["X-RateLimit-Remaining"] == "1"
    assert collector.send("track", padded("track", 900)).status == 429
    assert collector.send("track", padded("track", 90)).headers["X-RateLimit-Remaining"] == "0"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_bytes_are_counted_as_they_are_after_decompression(tmp_path: Path, endpoint: str) -> None:
    """For the address and for the tenant; compression saves nothing."""
    packed = gzip.compress(padded(endpoint, 1200))
    assert len(packed) < 200
    for budget in ("address_bytes", "tenant_bytes"):
        limits = generous(**{budget: Rate(per_s=1, burst=2000)})
        collector = Collector(tmp_path, **limits)
        sent = [collector.send(endpoint, packed, content_encoding="gzip") for _ in range(2)]
        assert [reply.status == 429 for reply in sent] == [False, True]
        assert sent[1].headers["X-RateLimit-Limit"] == "2000"
        assert len(collector.events) == 1


def test_bytes_of_an_unknown_tenant_are_their_senders_alone(tmp_path: Path) -> None:
    """No shop pays for them."""
    collector = Collector(tmp_path, **generous(tenant_bytes=Rate(per_s=1, burst=1000)))
    body = json.loads(padded("interactions", 900)) | {"tenant_id": 99}
    assert [collector.send("interactions", body).status for _ in range(3)] == [202] * 3
    assert collector.send("interactions", padded("interactions", 1000)).status == 201
