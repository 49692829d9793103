"""The fields that all endpoints have: product, event id, metadata, timestamp, context and ref."""

import pytest
from contract_tools import EVERY, METHODS, MINIMAL, UUID, refused, taken
from hypothesis import given
from hypothesis import strategies as st

from service.collector.contract.sent import SentContext


@EVERY
@pytest.mark.parametrize(("sent", "product_id"), [(0, 0), (5.0, 5), (2**53 - 1, 2**53 - 1)])
def test_an_integral_product_id_is_an_integer(name: str, sent: float, product_id: int) -> None:
    """5.0 is the integer 5."""
    result = taken(name, product_id=sent).product_id
    assert result == product_id
    assert type(result) is int


@EVERY
@pytest.mark.parametrize("sent", ["5", 5.5, True, [], 2**53, -(2**53), 1e30, 10**40])
def test_a_product_id_of_another_form_is_refused(name: str, sent: object) -> None:
    """A product id is an integer that doubles hold exactly."""
    assert list(refused(name, product_id=sent).errors) == ["product_id"]


@EVERY
@pytest.mark.parametrize("sent", ["", "abc", UUID[:-1], UUID + "0", UUID + "\n", "{" + UUID, 5, {}])
def test_an_event_id_that_is_no_uuid_is_refused(name: str, sent: object) -> None:
    """An event id is a UUID in its usual form, with one message about it."""
    rejection = refused(name, event_id=sent)
    assert list(rejection.errors) == ["event_id"]
    assert rejection.slug == "payload-invalid"


@EVERY
@pytest.mark.parametrize("sent", [None, {}, []])
def test_metadata_without_anything_is_empty(name: str, sent: object) -> None:
    """PHP sends an empty array for an empty object."""
    assert taken(name, metadata=sent).metadata == {}


@EVERY
@pytest.mark.parametrize("sent", [[1], [[]], "", "x", 5, True])
def test_metadata_that_is_no_object_is_refused(name: str, sent: object) -> None:
    """Metadata is an object, and the message says so once."""
    rejection = refused(name, metadata=sent)
    assert rejection.errors == {"metadata": ["The metadata field must be an object or null."]}


@EVERY
@pytest.mark.parametrize(
    ("sent", "timestamp_us"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.123456+00:00", 123_456),
        ("1970-01-01 01:00:00-06:00", 7 * 3_600_000_000),
        ("19700101T000000Z", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("0001-01-01", -62_135_596_800_000_000),
    ],
)
def test_a_timestamp_is_read_to_the_microsecond(name: str, sent: str, timestamp_us: int) -> None:
    """ISO 8601 in its forms; without an offset it is UTC; the text is kept as sent."""
    payload = taken(name, timestamp=sent)
    assert payload.timestamp_us == timestamp_us
    assert payload.timestamp_text == sent


@EVERY
@pytest.mark.parametrize(
    "sent",
    [
        "",
        "yesterday",
        "1763870000",
        "2026-02-30",
        "2026-11-23T25:00:00Z",
        "2026-11-23T04:10:00+24:00",
        "2026-11-23T04:10:00Z\n",
        "10000-01-01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_a_text_that_is_no_time_is_refused(name: str, sent: str) -> None:
    """A time that is not ISO 8601, or outside the years 1 to 9999 in UTC, is refused as such."""
    rejection = refused(name, timestamp=sent)
    assert (rejection.slug, list(rejection.errors)) == ("timestamp-invalid", ["timestamp"])
    assert not sent or sent not in rejection.message


@EVERY
@pytest.mark.parametrize("sent", [5, 1.5, True, [], {}])
def test_a_timestamp_that_is_no_text_is_refused(name: str, sent: object) -> None:
    """A number is no timestamp: its unit would be a guess."""
    assert refused(name, timestamp=sent).errors == {
        "timestamp": ["The timestamp field must be a string or null."]
    }


@given(st.text(max_size=40))
def test_any_text_as_a_timestamp_gives_a_result(text: str) -> None:
    """No text raises."""
    METHODS["track"]({**MINIMAL["track"], "timestamp": text})


@EVERY
def test_a_context_is_read_as_it_is_sent(name: str) -> None:
    """A missing field is None, and another property is not read."""
    sent = {"path": "/p", "query": "?utm_source=x", "ip": None, "more": [1]}
    assert taken(name, context=sent).context == SentContext("/p", "?utm_source=x")
    full = {name: name for name in SentContext.__struct_fields__}
    assert taken(name, context=full).context == SentContext(**full)


@EVERY
@pytest.mark.parametrize("sent", [None, {}, []])
def test_a_context_without_anything_is_none(name: str, sent: object) -> None:
    """Nothing is known of the visit."""
    assert taken(name, context=sent).context is None


@EVERY
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ("/p", "context"),
        ("", "context"),
        ([{}], "context"),
        ({"path": 1}, "context.path"),
        ({"ip": {}}, "context.ip"),
    ],
)
def test_a_context_of_another_form_is_refused(name: str, sent: object, field: str) -> None:
    """The field is named."""
    assert list(refused(name, context=sent).errors) == [field]


@pytest.mark.parametrize(
    ("sent", "ref"),
    [
        (UUID, UUID.lower()),
        ("#0C6f2F6a1e", "0c6f2f6a1e"),
        ("0c6f2f6a1e", "0c6f2f6a1e"),
        (" #0c6f2f6a1e\n", "0c6f2f6a1e"),
        ("##0c6f2f6a1e", None),
        ("0c6f2f6a1", None),
        (f"#{UUID}", None),
        ("", None),
        (None, None),
    ],
)
def test_a_sale_names_the_event_that_led_to_it(sent: object, ref: str | None) -> None:
    """By its id or the last ten digits of it; a text of another form does not lose the sale."""
    assert taken("conversion", ref=sent).ref == ref
    assert taken("conversion", type="call", ref=sent).ref == ref
    assert taken("track", type="purchase", ref=sent).ref == ref
    assert taken("track", type="conversion", ref=sent).ref == ref


def test_an_event_that_is_no_sale_has_no_reference() -> None:
    """Nothing led to a sale there."""
    assert taken("track", ref="0c6f2f6a1e").ref is None
    assert taken("interaction", ref="0c6f2f6a1e").ref is None


@EVERY
def test_a_reference_that_is_no_text_is_refused(name: str) -> None:
    """The field is named."""
    assert list(refused(name, ref=10).errors) == ["ref"]
