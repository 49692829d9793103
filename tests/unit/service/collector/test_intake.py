"""The endpoints' rules, asked without a server: who is refused, what is stored, what is told."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_tools import (
    CHROME,
    CONVERSION,
    ENDPOINTS,
    EPOCH,
    EVENT_ID,
    INTERACTION,
    NOW,
    NOW_TEXT,
    SHOP,
    SUBMISSION,
    TRACK,
    UUID,
    VALID,
    Collector,
)
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from etl.log.segment_writer import DiskFull
from service.collector.contract.rejection import Rejection
from service.collector.intake import TimeBounds
from service.collector.journal import JournalBroken, JournalFull
from service.collector.throttle.token_bucket import Rate


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


def scarce(burst: int) -> Rate:
    """One a minute."""
    return Rate(per_s=1 / 60, burst=burst)


# -- accepted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", ["17", 17, UUID, UUID.upper()])
def test_track_answers_202_with_the_events_id(collector: Collector, tenant: str | int) -> None:
    """A tenant is named by its id, as text or number, or its UUID in either case."""
    reply = collector.send("track", {"tenant_id": tenant, "type": "call", "event_id": EVENT_ID})
    assert reply.status == 202
    assert reply.body == {
        "success": True,
        "message": "Event accepted for processing",
        "event_id": EVENT_ID,
    }
    [event] = collector.events
    assert (event["tenant_id"], event["type"], event["endpoint"]) == (17, "call", "track")
    assert event["event_id"] == EVENT_ID


@pytest.mark.parametrize("sent", ["T-1", 1001, 10.5])
def test_conversion_answers_ok_with_the_transaction_as_sent(
    collector: Collector, sent: str | float
) -> None:
    """The reply repeats the transaction's id in the type it came in; text is stored."""
    reply = collector.send("conversion", CONVERSION | {"transaction_id": sent})
    assert (reply.status, reply.body) == (200, {"status": "ok", "transaction_id": sent})
    assert collector.events[0]["transaction_id"] == str(sent)


def test_a_conversion_without_a_transaction_is_taken(collector: Collector) -> None:
    """Its reply says null."""
    reply = collector.send("conversion", {"tenant_slug": "la-colmena"})
    assert (reply.status, reply.body) == (200, {"status": "ok", "transaction_id": None})
    [event] = collector.events
    assert (event["type"], event["value"], event["currency"]) == ("purchase", 0, "HNL")


def test_interactions_answer_201(collector: Collector) -> None:
    """The event is recorded as it came."""
    reply = collector.send("interactions", INTERACTION | {"product_id": 1042})
    assert (reply.status, reply.body) == (201, {"status": "success"})
    assert collector.events[0]["product_id"] == 1042


def test_an_interaction_with_an_unknown_product_keeps_the_rest(collector: Collector) -> None:
    """The product is recorded as null, also in the metadata, and nothing is refused."""
    body = INTERACTION | {"product_id": 7, "metadata": {"page": "/a"}}
    assert collector.send("interactions", body).status == 201
    [event] = collector.events
    assert "product_id" not in event
    assert event["metadata"] == {"page": "/a"}
    assert collector.rejected == []


def test_an_event_without_an_id_gets_one(collector: Collector) -> None:
    """A UUIDv7 of the receipt, in the reply and in the record, which makes no duplicate key."""
    reply = collector.send("track", TRACK)
    [event] = collector.events
    assert reply.body["event_id"] == event["event_id"]
    assert int(event["event_id"].replace("-", "")[:12], 16) == NOW.timestamp() * 1000 // 1
    assert "dedupe_key" not in event


@pytest.mark.parametrize(
    ("endpoint", "extra", "key"),
    [
        ("track", {"event_id": EVENT_ID.upper()}, f"id:{EVENT_ID}"),
        ("interactions", {"event_id": EVENT_ID}, f"id:{EVENT_ID}"),
        ("conversion", {"transaction_id": None, "event_id": EVENT_ID}, f"id:{EVENT_ID}"),
        ("conversion", {"event_id": EVENT_ID}, "tx:T-1"),
        ("conversion", {"transaction_id": 7.0}, "tx:7"),
        ("conversion", {"transaction_id": " "}, None),
        ("track", {"transaction_id": "T-1"}, None),
    ],
)
def test_what_makes_two_sendings_one(
    collector: Collector, endpoint: str, extra: dict[str, Any], key: str | None
) -> None:
    """A conversion's transaction outranks an event's id; other endpoints have no transaction."""
    collector.send(endpoint, VALID[endpoint] | extra)
    assert collector.events[0].get("dedupe_key") == key


# -- refused ----------------------------------------------------------------------------------

REFUSED: list[tuple[object, dict[str, Any], int, str]] = [
    (b"{", {}, 400, "not-json"),
    (b"", {}, 400, "not-json"),
    (b'{"tenant_id": NaN, "type": "call"}', {}, 400, "not-json"),
    (b"\xff", {}, 400, "not-json"),
    (b"[" * 17 + b"]" * 17, {}, 400, "too-deep"),
    (TRACK, {"content_type": "text/html"}, 415, "media-type-unsupported"),
    (TRACK, {"content_encoding": "br"}, 415, "encoding-unsupported"),
    (TRACK, {"content_encoding": "gzip"}, 400, "gzip-broken"),
    (TRACK | {"pad": "x" * 70_000}, {}, 413, "body-too-large"),
    ([], {}, 422, "payload-invalid"),
    ({}, {}, 422, "field-missing"),
    (TRACK | {"type": "explode"}, {}, 422, "type-not-allowed"),
    (TRACK | {"event_id": "7"}, {}, 422, "payload-invalid"),
    (TRACK | {"timestamp": "yesterday"}, {}, 422, "timestamp-invalid"),
    (TRACK | {"tenant_id": "99"}, {}, 404, "tenant-not-found"),
    (TRACK | {"tenant_id": "la-colmena"}, {}, 404, "tenant-not-found"),
    (TRACK | {"product_id": 7}, {}, 422, "product-not-found"),
    (TRACK | {"product_id": 1042, "tenant_id": 18}, {}, 422, "product-not-found"),
]


@pytest.mark.parametrize(("body", "changes", "status", "slug"), REFUSED)
def test_track_refuses_with_a_reason_and_keeps_the_payload(
    collector: Collector, body: object, changes: dict[str, Any], status: int, slug: str
) -> None:
    """Each refusal has its status, its stable slug in the stream, and no event."""
    reply = collector.send("track", body, **changes)
    assert (reply.status, collector.reasons) == (status, [slug])
    assert reply.body["success"] is False
    assert collector.events == []
    assert ("errors" in reply.body) == (status == 422)


def test_a_missing_tenant_says_the_agreed_words(collector: Collector) -> None:
    """404 with the message that clients know."""
    reply = collector.send("track", TRACK | {"tenant_id": 99})
    message = "Tenant not found or not available"
    assert (reply.status, reply.body) == (404, {"success": False, "message": message})


def test_a_missing_product_is_an_error_of_its_field(collector: Collector) -> None:
    """422 with the field's name, as for what the schema refuses."""
    reply = collector.send("track", TRACK | {"product_id": 7})
    assert list(reply.body["errors"]) == ["product_id"]  # type: ignore[call-overload]


def test_what_the_server_refused_before_reading_is_refused_as_such(collector: Collector) -> None:
    """The body's size is the HTTP side's to see."""
    too_large = Rejection("body-too-large", 413, "The body is too large.")
    assert collector.send("track", b"{", rejection=too_large).status == 413
    assert collector.send("interactions", b"{", rejection=too_large).status == 413
    assert collector.send("conversion", b"{", rejection=too_large).body["status"] == "skipped"
    assert collector.reasons == ["body-too-large"] * 3


@pytest.mark.parametrize(
    ("body", "changes", "slug", "transaction_id"),
    [
        (b"{", {}, "not-json", None),
        ([], {}, "payload-invalid", None),
        ({"transaction_id": "T-1"}, {}, "field-missing", "T-1"),
        (CONVERSION | {"tenant_slug": "nowhere"}, {}, "tenant-not-found", "T-1"),
        (CONVERSION | {"tenant_slug": "17"}, {}, "tenant-not-found", "T-1"),
        (CONVERSION | {"product_id": 7}, {}, "product-not-found", "T-1"),
        (CONVERSION | {"currency": "QQQ"}, {}, "currency-unknown", "T-1"),
        (CONVERSION | {"value": "ten"}, {}, "payload-invalid", "T-1"),
        (CONVERSION | {"transaction_id": {}}, {}, "payload-invalid", None),
        (CONVERSION | {"transaction_id": "x" * 256}, {}, "payload-invalid", None),
        (CONVERSION, {"content_type": "text/html"}, "media-type-unsupported", None),
        (CONVERSION | {"pad": "x" * 70_000}, {}, "body-too-large", None),
    ],
)
def test_a_conversion_is_skipped_and_kept_whatever_is_wrong_with_it(
    collector: Collector,
    body: object,
    changes: dict[str, Any],
    slug: str,
    transaction_id: str | None,
) -> None:
    """The page that fired it sees 200 always; the payload is in the stream with its reason."""
    reply = collector.send("conversion", body, **changes)
    skipped = {"status": "skipped", "transaction_id": transaction_id}
    assert (reply.status, reply.body) == (200, skipped)
    assert collector.reasons == [slug]
    assert collector.events == []


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (INTERACTION | {"tenant_id": 99}, 202, "tenant-not-found"),
        (INTERACTION | {"tenant_id": "99"}, 202, "tenant-not-found"),
        ({"type": "view"}, 422, "field-missing"),
        ({"tenant_id": 17}, 422, "field-missing"),
        (INTERACTION | {"type": "cart_add"}, 422, "type-not-allowed"),
        (INTERACTION | {"tenant_id": UUID}, 422, "payload-invalid"),
        (b"{", 400, "not-json"),
    ],
)
def test_interactions_accept_an_unknown_tenant_in_silence_and_refuse_the_rest(
    collector: Collector, body: object, status: int, slug: str
) -> None:
    """A shop that does not exist is not told from one that does by an error."""
    reply = collector.send("interactions", body)
    assert (reply.status, collector.reasons) == (status, [slug])
    if status == 202:
        assert reply.body == {"status": "accepted"}


SECRET = "s3cr3t-payl0ad"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: {**body, "type": SECRET},
        lambda body: {**body, "event_id": SECRET},
        lambda body: {**body, "timestamp": SECRET},
        lambda body: {**body, "currency": SECRET},
        lambda body: {**body, "metadata": SECRET},
        lambda body: {**body, "product_id": SECRET},
        lambda body: {**body, "tenant_id": SECRET, "tenant_slug": SECRET},
        lambda body: [SECRET],
        lambda body: SECRET,
    ],
)
def test_a_refusal_never_echoes_a_value(
    collector: Collector, endpoint: str, spoil: Callable[[Any], object]
) -> None:
    """Neither in the reply nor in the messages that are stored; only the body holds it."""
    reply = collector.send(endpoint, spoil(VALID[endpoint]))
    assert SECRET not in json.dumps([dict(reply.body), dict(reply.headers)])
    for line in collector.rejected:
        assert SECRET not in json.dumps(line | {"body": ""})


# -- what is kept of a refusal ----------------------------------------------------------------


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


# -- our own faults ---------------------------------------------------------------------------

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
    """What is answered as kept can be replayed."""
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
    """What memory answers costs no question; what it does not is asked once."""
    body = VALID[endpoint] | {"product_id": 1042}
    collector.send(endpoint, body)
    assert collector.directory.questions == 0
    collector.directory.cold = True
    collector.send(endpoint, body)
    assert collector.directory.questions == 2
    assert len(collector.events) == 2


# -- the throttle -----------------------------------------------------------------------------


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
    """What is refused takes nothing from any bucket of the address."""
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


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "taken"),
    [
        (timedelta(0), True),
        (timedelta(days=7), True),
        (timedelta(days=7, microseconds=1), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, microseconds=-1), False),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_timestamp_counts_where_it_is_plausible(
    collector: Collector, endpoint: str, ago: timedelta, *, taken: bool
) -> None:
    """From seven days before its receipt to five minutes after; else the receipt counts."""
    claimed = (NOW - ago).isoformat(timespec="microseconds")
    collector.send(endpoint, VALID[endpoint] | {"timestamp": claimed})
    [event] = collector.events
    assert event["received_at"] == NOW_TEXT
    if taken:
        assert datetime.fromisoformat(event["occurred_at"]) == NOW - ago
        assert "metadata" not in event
    else:
        assert event["occurred_at"] == NOW_TEXT
        assert event["metadata"] == {"_timestamp": claimed}


def test_a_backfill_widens_the_window(tmp_path: Path) -> None:
    """The bounds are the operator's."""
    ten_years = TimeBounds(past_max_us=3650 * 86_400_000_000)
    collector = Collector(tmp_path, bounds=ten_years)
    collector.send("track", TRACK | {"timestamp": "2019-10-01T00:00:00Z"})
    assert collector.events[0]["occurred_at"] == "2019-10-01T00:00:00.000000Z"


# -- visitors and bots ------------------------------------------------------------------------


def visitor(collector: Collector, endpoint: str = "track", **changes: Any) -> str | None:
    body = changes.pop("body", VALID[endpoint])
    collector.send(endpoint, body, **changes)
    found: str | None = collector.events[-1].get("visitor_id")
    return found


def test_a_visitor_is_one_for_a_day_and_a_tenant(collector: Collector) -> None:
    """The same over all endpoints; another on the next day, at another shop, by another agent."""
    first = visitor(collector)
    assert first is not None
    assert len(first) == 16
    assert visitor(collector, "conversion") == visitor(collector, "interactions") == first
    others = {
        visitor(collector, ip="203.0.113.8"),
        visitor(collector, user_agent="Other/1.0"),
        visitor(collector, body=TRACK | {"tenant_id": 18}),
    }
    collector.now = NOW + timedelta(days=1)
    others.add(visitor(collector))
    assert len(others | {first}) == 5


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_privacy_leaves_no_visitor(collector: Collector, endpoint: str) -> None:
    """The event counts, the visitor does not."""
    assert visitor(collector, endpoint, wants_privacy=True) is None


def test_no_record_holds_an_address_or_an_agent(collector: Collector) -> None:
    """Neither of an event nor of a refusal."""
    for endpoint in ENDPOINTS:
        collector.send(endpoint, VALID[endpoint])
        collector.send(endpoint, b"{")
    stored = b"\n".join(collector.journal.raw).decode()
    assert SUBMISSION.ip not in stored
    assert CHROME not in stored


def test_a_damaged_salt_costs_the_visitor_and_not_the_event(
    collector: Collector, tmp_path: Path
) -> None:
    """The event is stored without a visitor."""
    (tmp_path / "salts" / "2026-11-23").write_bytes(b"short")
    assert visitor(collector) is None
    assert len(collector.events) == 1


@pytest.mark.parametrize(
    ("user_agent", "bot"), [(CHROME, False), ("", False), ("Googlebot/2.1", True)]
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_bots_are_stored_and_flagged(
    collector: Collector, endpoint: str, user_agent: str, *, bot: bool
) -> None:
    """Nobody is refused for being one."""
    collector.send(endpoint, VALID[endpoint], user_agent=user_agent)
    assert collector.events[0]["bot"] is bot


# -- the stored record ------------------------------------------------------------------------


def stored_event_validator() -> Draft202012Validator:
    folder = files("schemas") / "v1"
    schema, common = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("event", "common")
    )
    return Draft202012Validator(schema, registry=Resource.from_contents(common) @ Registry())


STORED_EVENT = stored_event_validator()
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MOMENTS = st.integers(-(2**41), 2**42).map(lambda ms: EPOCH + timedelta(milliseconds=ms))
COMMON = {
    "product_id": st.sampled_from([1042, 1042.0, None]),
    "metadata": st.none() | st.dictionaries(TEXT, JSON, max_size=4),
    "event_id": st.none() | st.uuids().map(str) | st.uuids().map(lambda id: str(id).upper()),
    "timestamp": st.none() | MOMENTS.map(datetime.isoformat),
}
TYPES = [
    "whatsapp_click",
    "call",
    "location_view",
    "cart_add",
    "social_share",
    "conversion",
    "purchase",
]
DECIMALS = st.decimals("-99999999999", "99999999999", places=6, allow_nan=False)
PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "track": st.fixed_dictionaries(
        {"tenant_id": st.sampled_from([17, "17", UUID]), "type": st.sampled_from(TYPES)},
        optional=COMMON,
    ),
    "interactions": st.fixed_dictionaries(
        {
            "tenant_id": st.sampled_from([17, "17", 17.0]),
            "type": st.sampled_from(["view", "whatsapp_click", "call_click", "maps_click"]),
        },
        optional=COMMON,
    ),
    "conversion": st.fixed_dictionaries(
        {"tenant_slug": st.just("la-colmena")},
        optional=COMMON
        | {
            "transaction_id": st.none() | TEXT | st.integers(-(2**53) + 1, 2**53 - 1),
            "value": st.none() | DECIMALS.map(float) | DECIMALS.map(str),
            "currency": st.sampled_from([None, "HNL", "usd", "Eur"]),
            "type": st.sampled_from([None, *TYPES]),
            "event": st.sampled_from([None, *TYPES]),
            "occurred_at": st.none() | MOMENTS.map(datetime.isoformat),
        },
    ),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_accepted_payload_makes_a_valid_record(
    collector: Collector, endpoint: str, data: st.DataObject
) -> None:
    """The stored event follows its own schema, and says what was sent."""
    collector.journal.lines.clear()
    body = data.draw(PAYLOADS[endpoint])
    reply = collector.send(endpoint, body)
    assert reply.status in (200, 201, 202)
    assert reply.body.get("status") != "skipped"
    [event] = collector.events
    STORED_EVENT.validate(json.loads(collector.journal.raw[-1]))
    kept = {key: item for key, item in event.get("metadata", {}).items() if key != "_timestamp"}
    sent = {key: item for key, item in (body.get("metadata") or {}).items() if key != "_timestamp"}
    if body.get("product_id") is not None:
        sent["product_id"] = 1042
    assert kept == sent


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.decimals("-99999999999", "99999999999", places=4, allow_nan=False))
def test_money_is_exact(collector: Collector, value: Decimal) -> None:
    """To the fourth decimal, sent as text."""
    collector.journal.lines.clear()
    collector.send("conversion", CONVERSION | {"value": str(value)})
    assert Decimal(collector.events[0]["value"]) == value
