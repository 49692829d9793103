"""Rejected payloads: how they are stored, and how much of them."""

import gzip
import json
from pathlib import Path

import pytest
from intake_tools import (
    ENDPOINTS,
    NOW_TEXT,
    TRACK,
    VALID,
    Collector,
)


def test_a_rejected_payload_is_kept_as_it_was_sent(collector: Collector) -> None:
    """With the endpoint, the schema's version, the messages, and the time."""
    body = b'{ "tenant_id": "17", "type": "explode" }'
    reply = collector.send("track", body)
    assert collector.rejected == [
        {
            "kind": "rejected",
            "received_at": NOW_TEXT,
            "endpoint": "track",
            "reason": "type-not-allowed",
            "errors": reply.body["errors"],
            "schema_version": "v1",
            "body": body.decode(),
        }
    ]


def test_a_compressed_payload_is_kept_as_it_read(collector: Collector) -> None:
    """Not as bytes that nobody can read or send again."""
    body = TRACK | {"tenant_id": "99"}
    packed = gzip.compress(json.dumps(body).encode())
    assert collector.send("track", packed, content_encoding="gzip").status == 404
    assert json.loads(collector.rejected[0]["body"]) == body


def test_a_compressed_payload_that_cannot_be_read_leaves_no_text(collector: Collector) -> None:
    """The reason is kept all the same."""
    assert collector.send("track", b"\x1f\x8b\0", content_encoding="gzip").status == 400
    assert (collector.reasons, collector.rejected[0]["body"]) == (["gzip-broken"], "")


@pytest.mark.parametrize("per_min", [0, 1, 1024, 4096, 60 << 20, 1 << 50])
def test_what_is_kept_is_bounded_and_answers_do_not_change(tmp_path: Path, per_min: int) -> None:
    """Whatever the budget, a refusal is answered; past the budget it is not kept."""
    collector = Collector(tmp_path, rejected_bytes_per_min=per_min)
    replies = [collector.send("track", b"\1" * 8192) for _ in range(3)]
    assert [reply.status for reply in replies] == [400, 400, 400]
    assert sum(map(len, collector.journal.raw)) <= per_min
    assert bool(collector.rejected) == (per_min > 1 << 16)


def test_one_address_has_a_share_of_what_is_kept(tmp_path: Path) -> None:
    """Whatever it sends, others' payloads are kept; all together never more than the budget."""
    collector = Collector(tmp_path, rejected_bytes_per_min=1 << 20)
    wrong = b'{"tenant_id": "17", "type": "explode", "pad": "%s"}' % (b"x" * 4000)
    for _ in range(100):
        assert collector.send("track", wrong).status == 422
    kept = len(collector.rejected)
    assert kept == (1 << 20) // 8 // (5 << 10)
    for n in range(20):
        collector.send("track", wrong, ip=f"198.51.100.{n}")
    assert len(collector.rejected) == kept + 20
    for n in range(400):
        collector.send("track", wrong, ip=f"198.51.100.{n % 20}")
    assert sum(map(len, collector.journal.raw)) <= 1 << 20
    assert len(collector.rejected) == (1 << 20) // (5 << 10)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_directory_is_told_who_asks(collector: Collector, endpoint: str) -> None:
    """Its look-ups are bounded for each address, for tenants and products alike."""
    collector.directory.cold = True
    collector.send(endpoint, VALID[endpoint] | {"product_id": 1042})
    assert (collector.directory.questions, collector.directory.askers) == (2, {"203.0.113.7"})


def test_the_budget_comes_back_within_a_minute(tmp_path: Path) -> None:
    """It is refilled by the monotonic clock."""
    collector = Collector(tmp_path, rejected_bytes_per_min=1024)
    collector.send("track", b"{")
    collector.send("track", b"{")
    assert len(collector.rejected) == 1
    collector.monotonic_s += 60
    collector.send("track", b"{")
    assert len(collector.rejected) == 2
