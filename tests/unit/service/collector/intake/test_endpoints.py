"""The replies of the endpoints, and the rejections of each."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from intake_tools import (
    CONVERSION,
    ENDPOINTS,
    EVENT_ID,
    INTERACTION,
    NOW,
    TRACK,
    UUID,
    VALID,
    Collector,
)

from service.collector.contract.rejection import Rejection


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
    """The page that fired it sees 200 and the reason; the payload is in the stream with it."""
    reply = collector.send("conversion", body, **changes)
    skipped = {"status": "skipped", "transaction_id": transaction_id, "reason": slug}
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
