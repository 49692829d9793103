"""Faults of the collector: an event is stored, or its client keeps it."""

import gzip
import json
from pathlib import Path

import pytest
from intake_tools import (
    CONVERSION,
    ENDPOINTS,
    INTERACTION,
    SHOP,
    TRACK,
    VALID,
    Collector,
)

from etl.log.segment_writer import DiskFull
from service.collector.journal import JournalBroken, JournalFull

FAULTS = [
    ("at once", JournalFull("full")),
    ("at once", JournalBroken("closed")),
    ("later", DiskFull("none left")),
    ("later", JournalBroken("sync failed")),
]


@pytest.mark.parametrize(("when", "fault"), FAULTS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_event_that_cannot_be_stored_is_a_503(
    collector: Collector, endpoint: str, when: str, fault: Exception
) -> None:
    """Every endpoint says so, with the time to try again, and nothing of the fault's text."""
    if when == "at once":
        collector.journal.refuses_at_once = fault
    else:
        collector.journal.fails_later = fault
    reply = collector.send(endpoint, VALID[endpoint])
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.body["success"] is False
    assert str(fault) not in str(reply.body["message"])


@pytest.mark.parametrize(("when", "fault"), FAULTS)
def test_a_refusal_stays_one_when_it_cannot_be_kept(
    collector: Collector, when: str, fault: Exception
) -> None:
    """The client's mistake is not made ours by a full disk."""
    if when == "at once":
        collector.journal.refuses_at_once = fault
    else:
        collector.journal.fails_later = fault
    assert collector.send("track", b"{").status == 400
    assert collector.send("conversion", b"{").body["status"] == "skipped"
    assert collector.send("interactions", INTERACTION | {"tenant_id": 99}).status == 202


def test_track_is_a_503_while_the_directory_is_down(collector: Collector) -> None:
    """It is never told that the tenant is not there; the client still holds the event."""
    collector.directory.cold = collector.directory.down = True
    reply = collector.send("track", TRACK)
    assert reply.status == 503
    assert "Retry-After" in reply.headers
    assert collector.journal.lines == []


@pytest.mark.parametrize(
    ("endpoint", "status", "said"),
    [("conversion", 200, "skipped"), ("interactions", 202, "accepted")],
)
def test_a_beacon_is_kept_while_the_directory_is_down(
    collector: Collector, endpoint: str, status: int, said: str
) -> None:
    """It is answered, and its payload is kept whole, with the reason, for a replay."""
    collector.directory.cold = collector.directory.down = True
    reply = collector.send(endpoint, VALID[endpoint])
    assert (reply.status, reply.body["status"]) == (status, said)
    assert collector.reasons == ["directory-unavailable"]
    assert json.loads(collector.rejected[0]["body"]) == VALID[endpoint]


@pytest.mark.parametrize("endpoint", ["conversion", "interactions"])
def test_a_beacon_that_came_compressed_is_kept_too(collector: Collector, endpoint: str) -> None:
    """An event that is answered as kept can be replayed."""
    collector.directory.cold = collector.directory.down = True
    packed = gzip.compress(json.dumps(VALID[endpoint]).encode())
    collector.send(endpoint, packed, content_encoding="gzip")
    assert json.loads(collector.rejected[0]["body"]) == VALID[endpoint]


@pytest.mark.parametrize("endpoint", ["conversion", "interactions"])
@pytest.mark.parametrize(
    "obstacle", ["budget", "journal full", "disk full", "longer than what is kept"]
)
def test_a_beacon_that_cannot_be_kept_whole_is_a_503(
    tmp_path: Path, endpoint: str, obstacle: str
) -> None:
    """The directory is down and there is no place for the only copy: the client keeps it."""
    budget = 0 if obstacle == "budget" else 1 << 20
    collector = Collector(tmp_path, rejected_bytes_per_min=budget)
    collector.directory.cold = collector.directory.down = True
    body = VALID[endpoint]
    if obstacle == "journal full":
        collector.journal.refuses_at_once = JournalFull("full")
    elif obstacle == "disk full":
        collector.journal.fails_later = DiskFull("none left")
    elif obstacle == "longer than what is kept":
        body = body | {"metadata": {"a": "x" * 8000, "b": "y" * 8000}}
    reply = collector.send(endpoint, body)
    assert reply.status == 503
    assert "Retry-After" in reply.headers
    assert collector.journal.lines == []


def test_a_product_that_cannot_be_looked_up_is_our_fault(collector: Collector) -> None:
    """An event is neither refused nor stripped of its product for want of a database."""
    collector.directory.cold = collector.directory.down = True
    warm = collector.directory
    warm.peek_tenant = lambda key: SHOP  # type: ignore[method-assign]
    warm.peek_slug = lambda slug: SHOP  # type: ignore[method-assign]
    assert collector.send("track", TRACK | {"product_id": 1042}).status == 503
    sold = collector.send("interactions", INTERACTION | {"product_id": 1042})
    assert (sold.status, sold.body) == (202, {"status": "accepted"})
    skipped = collector.send("conversion", CONVERSION | {"product_id": 1042})
    assert skipped.body["status"] == "skipped"
    assert collector.reasons == ["directory-unavailable"] * 2
    assert collector.events == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_database_is_asked_only_on_a_miss(collector: Collector, endpoint: str) -> None:
    """A look-up in memory costs no query; a miss costs one."""
    body = VALID[endpoint] | {"product_id": 1042}
    collector.send(endpoint, body)
    assert collector.directory.questions == 0
    collector.directory.cold = True
    collector.send(endpoint, body)
    assert collector.directory.questions == 2
    assert len(collector.events) == 2
