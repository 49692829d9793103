"""The stored records: what a line of the log says of an event and of a refusal."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector import record
from service.collector.contract.payload import Payload
from service.collector.record import Visit

RECEIVED_US = 1_795_407_000_123_456
PLAIN = Payload(
    tenant=17,
    type="cart_add",
    product_id=None,
    metadata={},
    event_id=None,
    timestamp_us=None,
    timestamp_text=None,
)
EVENT_ID = "0193b2d0-7b1c-7d43-9a55-0c6f2f6a1e11"
VISIT = Visit(
    tenant_id=17,
    received_at="2026-11-23T04:10:00.123456Z",
    visitor_id="9f86d081884c7d65",
    bot=False,
)


def line(payload: Payload, visit: Visit = VISIT, occurred_us: int | None = None) -> bytes:
    return record.event(
        payload, visit, endpoint="track", event_id=EVENT_ID, occurred_us=occurred_us
    )


def event(
    visit: Visit = VISIT, occurred_us: int | None = None, **changes: object
) -> dict[str, object]:
    stored = line(replace(PLAIN, **changes), visit, occurred_us)  # type: ignore[arg-type]
    found: dict[str, object] = json.loads(stored, parse_float=Decimal)
    return found


def refused(body: bytes, **changes: object) -> dict[str, object]:
    fields = {
        "endpoint": "track",
        "reason": "not-json",
        "errors": {},
        "schema_version": "v1",
        "raw_body": body,
        "received_us": RECEIVED_US,
        **changes,
    }
    found: dict[str, object] = json.loads(record.rejected(**fields))  # type: ignore[arg-type]
    return found


# -- events -----------------------------------------------------------------------------------


def test_an_event_tells_all_that_is_known() -> None:
    """Fields that have a value are there, the others are left out."""
    assert event() == {
        "kind": "event",
        "event_id": EVENT_ID,
        "received_at": "2026-11-23T04:10:00.123456Z",
        "occurred_at": "2026-11-23T04:10:00.123456Z",
        "tenant_id": 17,
        "endpoint": "track",
        "type": "cart_add",
        "visitor_id": "9f86d081884c7d65",
        "bot": False,
    }


def test_an_event_tells_its_context_and_what_led_to_it() -> None:
    """Beside its other fields."""
    plain = event()
    stored = record.event(
        replace(PLAIN, ref="0c6f2f6a1e"),
        VISIT,
        endpoint="track",
        event_id=EVENT_ID,
        context={"path": "/p", "channel": "direct", "channel_rules": 1},
    )
    context = {"path": "/p", "channel": "direct", "channel_rules": 1}
    assert json.loads(stored) == {**plain, **context, "ref": "0c6f2f6a1e"}


def test_a_visitor_who_wants_privacy_has_no_id() -> None:
    """The field is left out."""
    assert "visitor_id" not in event(replace(VISIT, visitor_id=None))


@given(st.decimals("-99999999999.9999", "99999999999.9999", places=4, allow_nan=False))
def test_an_order_value_is_stored_exactly(value: Decimal) -> None:
    """As a JSON number without exponent, to the last of its four decimals."""
    stored = line(replace(PLAIN, value=value))
    assert json.loads(stored, parse_float=Decimal, parse_int=Decimal)["value"] == value
    text = stored.partition(b'"value":')[2].partition(b",")[0]
    assert b"e" not in text.lower()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.0000", b'"value":0,'),
        ("1250.5000", b'"value":1250.5,'),
        ("100000.0000", b'"value":100000,'),
        ("-0.0001", b'"value":-0.0001,'),
        ("99999999999.9999", b'"value":99999999999.9999,'),
    ],
)
def test_an_order_value_is_written_plainly(value: str, text: bytes) -> None:
    """Without trailing zeros and without an exponent."""
    assert text in line(replace(PLAIN, value=Decimal(value)))


@pytest.mark.parametrize(
    ("transaction_id", "event_id", "key"),
    [
        (None, None, None),
        (None, EVENT_ID, f"id:{EVENT_ID}"),
        ("T-1", None, "tx:T-1"),
        ("T-1", EVENT_ID, "tx:T-1"),
        ("id:7", None, "tx:id:7"),
    ],
)
def test_a_transaction_outranks_an_event_id(
    transaction_id: str | None, event_id: str | None, key: str | None
) -> None:
    """The client's key makes two sendings one event; an id that the server made does not."""
    stored = event(transaction_id=transaction_id, event_id=event_id)
    assert stored.get("dedupe_key") == key


def test_a_product_is_merged_into_the_metadata() -> None:
    """It outranks what the metadata said, which is not changed."""
    metadata: dict[str, object] = {"product_id": 1, "page": "/a"}
    stored = event(product_id=1042, metadata=metadata)
    assert stored["product_id"] == 1042
    assert stored["metadata"] == {"product_id": 1042, "page": "/a"}
    assert metadata == {"product_id": 1, "page": "/a"}


def test_a_timestamp_that_was_not_taken_is_kept_as_text() -> None:
    """The event is dated by its receipt, and what the client said is in the metadata."""
    text = "1970-01-01T00:00:00.000001Z"
    assert event(timestamp_us=1, timestamp_text=text)["metadata"] == {"_timestamp": text}
    taken = event(occurred_us=1, timestamp_us=1, timestamp_text=text)
    assert taken["occurred_at"] == text
    assert "metadata" not in taken


# -- rejected ---------------------------------------------------------------------------------


def test_a_refusal_tells_why_and_of_what() -> None:
    """The reason, the messages by field, the version of the rules, and the body as text."""
    assert refused(b'{"type": 7}', errors={"type": ("The type field is wrong.",)}) == {
        "kind": "rejected",
        "received_at": "2026-11-23T04:10:00.123456Z",
        "endpoint": "track",
        "reason": "not-json",
        "errors": {"type": ["The type field is wrong."]},
        "schema_version": "v1",
        "body": '{"type": 7}',
    }


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda part: part * 300))
def test_any_body_is_kept_as_bounded_text(body: bytes) -> None:
    """At most 8 KiB of it, no NUL, and the record is one line of valid UTF-8 JSON."""
    stored = record.rejected(
        endpoint="track",
        reason="not-json",
        errors={},
        schema_version="v1",
        raw_body=body,
        received_us=RECEIVED_US,
    )
    text = json.loads(stored)["body"]
    assert b"\n" not in stored
    assert "\0" not in text
    assert len(text) <= record.REJECTED_BODY_BYTES_MAX


def test_text_within_the_limit_is_kept_whole() -> None:
    """A valid body that is short enough can be sent again unchanged."""
    body = ("ñ" * (record.REJECTED_BODY_BYTES_MAX // 2)).encode()
    assert refused(body)["body"] == body.decode()
    assert refused(body + b"x")["body"] == body.decode()
