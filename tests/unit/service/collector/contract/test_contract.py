"""Payloads against the contract: what is taken and how it reads, what is refused and why."""

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import orjson
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from service.collector.contract.body import TOO_DEEP, is_deep
from service.collector.contract.contract import Contract
from service.collector.contract.payload import Payload, SentContext, transaction_id_of
from service.collector.contract.rejection import Rejection
from service.collector.contract.schemas import SchemaFileError

CONTRACT = Contract.load()
SCHEMAS: dict[str, dict[str, Any]] = {
    name: orjson.loads((files("schemas") / "v1" / f"{name}.json").read_bytes())
    for name in ("common", "track", "conversion", "interaction")
}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
TRACK_TYPES = SCHEMAS["common"]["$defs"]["trackType"]["enum"]
INTERACTION_TYPES = SCHEMAS["common"]["$defs"]["interactionType"]["enum"]
METHODS: dict[str, Callable[[object], Payload | Rejection]] = {
    "track": lambda body: CONTRACT.track(body, plain_of(body)),
    "conversion": lambda body: CONTRACT.conversion(body, plain_of(body)),
    "interaction": lambda body: CONTRACT.interaction(body, plain_of(body)),
}
MINIMAL: dict[str, dict[str, Any]] = {
    "track": {"tenant_id": "17", "type": "call"},
    "conversion": {"tenant_slug": "shop"},
    "interaction": {"tenant_id": 17, "type": "view"},
}
UUID = "0193B2D0-7b1c-7d43-9a55-0c6f2f6a1e11"
SECRET = "¤secret"
BEYOND_SCHEMA = {"timestamp", "occurred_at", "currency", "value"}
EVERY = pytest.mark.parametrize("name", METHODS)


def plain_of(body: object) -> bytes:
    """The JSON that a client sends."""
    return json.dumps(body).encode()


def taken(name: str, **fields: object) -> Payload:
    """The payload of a minimal body with these fields."""
    result = METHODS[name]({**MINIMAL[name], **fields})
    assert isinstance(result, Payload), result
    return result


def refused(name: str, **fields: object) -> Rejection:
    """The rejection of a minimal body with these fields."""
    return refused_body(name, {**MINIMAL[name], **fields})


def refused_body(name: str, body: object) -> Rejection:
    result = METHODS[name](body)
    assert isinstance(result, Rejection), result
    assert result.status == 422
    assert result.message
    assert result.errors
    assert all(result.errors.values())
    return result


# The tables of the contract: required and optional fields


def test_a_minimal_tracked_event() -> None:
    """A tenant and a type are enough; the rest is empty."""
    assert taken("track") == Payload(17, "call", None, {}, None, None, None, None, None, None)


def test_a_full_tracked_event() -> None:
    """Every field of the table is read, and an unknown one is not."""
    payload = taken(
        "track",
        tenant_id=UUID,
        type="purchase",
        product_id=5,
        metadata={"a": [1, {"b": None}]},
        event_id=UUID,
        timestamp="1970-01-01T00:00:01.000002Z",
        colour="blue",
    )
    assert payload == Payload(
        tenant=UUID.lower(),
        type="purchase",
        product_id=5,
        metadata={"a": [1, {"b": None}]},
        event_id=UUID.lower(),
        timestamp_us=1_000_002,
        timestamp_text="1970-01-01T00:00:01.000002Z",
    )


def test_a_minimal_conversion() -> None:
    """A slug is enough; type and value have defaults, and the currency is the shop's."""
    payload = taken("conversion")
    assert (payload.tenant, payload.type) == ("shop", "purchase")
    assert (payload.value, payload.currency, payload.transaction_id) == (Decimal(0), None, None)


def test_a_full_conversion() -> None:
    """Every field of the table is read."""
    payload = taken(
        "conversion",
        transaction_id="T-1",
        value=12.5,
        currency="usd",
        type="conversion",
        timestamp="1970-01-01T00:00:01Z",
        metadata={"a": 1},
        product_id=5,
        event_id=UUID,
    )
    assert payload == Payload(
        tenant="shop",
        type="conversion",
        product_id=5,
        metadata={"a": 1},
        event_id=UUID.lower(),
        timestamp_us=1_000_000,
        timestamp_text="1970-01-01T00:00:01Z",
        transaction_id="T-1",
        value=Decimal("12.5000"),
        currency="USD",
    )


def test_a_full_interaction() -> None:
    """Every field of the table is read."""
    payload = taken(
        "interaction",
        tenant_id="17",
        product_id=5,
        metadata={"a": 1},
        event_id=UUID,
        timestamp="1970-01-01T00:00:01Z",
    )
    assert payload == Payload(
        17, "view", 5, {"a": 1}, UUID.lower(), 1_000_000, "1970-01-01T00:00:01Z"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ("track", "conversion") for kind in TRACK_TYPES]
    + [("interaction", kind) for kind in INTERACTION_TYPES],
)
def test_every_listed_type_is_taken(name: str, kind: str) -> None:
    """Each endpoint takes each of its types."""
    assert taken(name, type=kind).type == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("track", "view"),
        ("track", "Call"),
        ("track", "call "),
        ("track", None),
        ("track", 5),
        ("conversion", "view"),
        ("conversion", ""),
        ("interaction", "purchase"),
        ("interaction", ["view"]),
    ],
)
def test_a_type_outside_the_list_is_refused(name: str, kind: object) -> None:
    """Another type is refused as such, and the message lists those allowed."""
    rejection = refused(name, type=kind)
    assert rejection.slug == "type-not-allowed"
    assert list(rejection.errors) == ["type"]
    allowed = INTERACTION_TYPES if name == "interaction" else TRACK_TYPES
    assert all(each in rejection.message for each in allowed)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("track", "tenant_id"),
        ("track", "type"),
        ("conversion", "tenant_slug"),
        ("interaction", "tenant_id"),
        ("interaction", "type"),
    ],
)
def test_a_required_field_missing_is_named(name: str, field: str) -> None:
    """A missing field is refused as missing, under its own name."""
    body = {key: value for key, value in MINIMAL[name].items() if key != field}
    rejection = refused_body(name, body)
    assert rejection.slug == "field-missing"
    assert rejection.errors == {field: [f"The {field} field is required."]}
    assert rejection.message == f"The {field} field is required."


@EVERY
@pytest.mark.parametrize("field", ["product_id", "metadata", "event_id", "timestamp"])
def test_an_optional_field_may_be_null(name: str, field: str) -> None:
    """Null is the same as absence for what is optional."""
    assert taken(name, **{field: None}) == taken(name)


@pytest.mark.parametrize(
    "field",
    ["transaction_id", "value", "currency", "type", "event_type", "event", "occurred_at"],
)
def test_an_optional_field_of_a_conversion_may_be_null(field: str) -> None:
    """Null is the same as absence for a conversion's own fields too."""
    assert taken("conversion", **{field: None}) == taken("conversion")


# tenants


@pytest.mark.parametrize(
    ("sent", "tenant"),
    [
        ("17", 17),
        ("0017", 17),
        (17, 17),
        (17.0, 17),
        (-1, -1),
        ("1" * 16, int("1" * 16)),
        ("1" * 17, "1" * 17),
        (UUID, UUID.lower()),
        ("Not-One", "not-one"),
        ("\u00b2", "\u00b2"),
        ("17\n", "17\n"),
    ],
)
def test_a_tracked_tenant_is_an_id_or_a_text(sent: object, tenant: object) -> None:
    """Digits are an id, a UUID is lowered, any other text is left to match nothing."""
    result = taken("track", tenant_id=sent).tenant
    assert result == tenant
    assert type(result) is type(tenant)


@pytest.mark.parametrize("sent", ["", None, 1.5, True, [], {}, 2**53, "a\0", "a" * 8193])
def test_a_tracked_tenant_of_another_form_is_refused(sent: object) -> None:
    """A value that is neither text nor an integer within the limits is refused."""
    rejection = refused("track", tenant_id=sent)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", ["tenant_id"])


@pytest.mark.parametrize(
    ("sent", "tenant"), [(17, 17), (17.0, 17), ("17", 17), ("9" * 16, 10**16 - 1)]
)
def test_an_interaction_takes_a_numeric_tenant(sent: object, tenant: int) -> None:
    """An integer or 1 to 16 digits are an id."""
    result = taken("interaction", tenant_id=sent).tenant
    assert result == tenant
    assert type(result) is int


@pytest.mark.parametrize(
    "sent", ["", "9" * 17, UUID, "17\n", " 17", "-17", "\u0661", None, 1.5, True, []]
)
def test_an_interaction_refuses_another_tenant(sent: object) -> None:
    """Text that is not 1 to 16 ASCII digits is refused."""
    rejection = refused("interaction", tenant_id=sent)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", ["tenant_id"])


@pytest.mark.parametrize("sent", ["", None, 5, "a" * 256, "a\0"])
def test_a_slug_of_another_form_is_refused(sent: object) -> None:
    """A slug is a text of 1 to 255 characters."""
    assert list(refused("conversion", tenant_slug=sent).errors) == ["tenant_slug"]
    assert taken("conversion", tenant_slug="9" * 255).tenant == "9" * 255


# fields all have


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
@pytest.mark.parametrize("sent", [[], "x", 5, True])
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


# conversions


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (0, "0.0000"),
        (-0.0, "0.0000"),
        (1250.5, "1250.5000"),
        (0.1, "0.1000"),
        (-80, "-80.0000"),
        (0.00005, "0.0000"),
        (0.00015, "0.0002"),
        (1e-300, "0.0000"),
        (99999999999.9999, "99999999999.9999"),
        ("1250.50", "1250.5000"),
        ("+.5", "0.5000"),
        ("5.", "5.0000"),
        ("1e3", "1000.0000"),
        ("-1E-2", "-0.0100"),
        ("-0", "0.0000"),
        ("0.00025", "0.0002"),
        ("0" * 60 + "7", "7.0000"),
        ("-99999999999.9999", "-99999999999.9999"),
    ],
)
def test_a_value_is_exact_to_four_decimals(sent: object, value: str) -> None:
    """Numbers and numeric text become decimals, rounded half to even."""
    assert str(taken("conversion", value=sent).value) == value


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "x",
        "1,5",
        " 1",
        "1\n",
        "1e",
        "0x10",
        "NaN",
        "Infinity",
        "1_000",
        "\u0661",
        "9" * 12,
        "99999999999.99991",
        "1e999",
        "1" * 65,
        "1" * 60_000 + "x",
        99999999999.99999,
        1e12,
        -1e12,
        1e300,
        10**30,
        True,
        [],
        {},
    ],
)
def test_a_value_of_another_form_is_refused(sent: object) -> None:
    """A value that is no decimal number, or is out of bounds, is refused."""
    rejection = refused("conversion", value=sent)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", ["value"])


@pytest.mark.parametrize("sent", ["ABC", "dem", "ZZZ"])
def test_an_unknown_currency_is_refused_as_such(sent: str) -> None:
    """Three letters that are no active code have a slug of their own."""
    rejection = refused("conversion", currency=sent)
    assert (rejection.slug, list(rejection.errors)) == ("currency-unknown", ["currency"])


@pytest.mark.parametrize("sent", ["", "US", "USDT", "US1", "USD\n", "\u0131sk", 840, []])
def test_a_currency_of_another_form_is_refused(sent: object) -> None:
    """A currency is three ASCII letters."""
    rejection = refused("conversion", currency=sent)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", ["currency"])


@pytest.mark.parametrize("code", SCHEMAS["common"]["$defs"]["currency"]["enum"])
def test_every_listed_currency_is_taken_in_either_case(code: str) -> None:
    """Codes are stored in upper case."""
    assert taken("conversion", currency=code.lower()).currency == code
    assert taken("conversion", currency=code).currency == code


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("T-1", "T-1"),
        (" T ", " T "),
        ("", None),
        (" \n", None),
        (0, "0"),
        (1001, "1001"),
        (1001.0, "1001"),
        (12.5, "12.5"),
        ("a" * 255, "a" * 255),
    ],
)
def test_a_transaction_id_is_a_text(sent: object, text: str | None) -> None:
    """A number is taken as text, a blank one as none; either is known as it was sent."""
    assert taken("conversion", transaction_id=sent).transaction_id == text
    assert transaction_id_of({"transaction_id": sent}) == sent


@pytest.mark.parametrize("sent", ["a" * 256, "a\0", 2**53, 1e30, True, [], {"a": 1}])
def test_a_transaction_id_of_another_form_is_refused(sent: object) -> None:
    """Text beyond the limits, and what is no text or number, is refused and not repeated."""
    assert list(refused("conversion", transaction_id=sent).errors) == ["transaction_id"]
    assert transaction_id_of({"transaction_id": sent}) is None


@pytest.mark.parametrize("body", [None, [], "x", 5, {}, {"transaction_id": None}])
def test_no_transaction_id_is_none(body: object) -> None:
    """Any body may be asked for its transaction id."""
    assert transaction_id_of(body) is None


@pytest.mark.parametrize("alias", ["event", "event_type"])
def test_the_type_has_aliases(alias: str) -> None:
    """An alias is read as the type, and an error bears the client's name for it."""
    assert taken("conversion", **{alias: "conversion"}).type == "conversion"
    rejection = refused("conversion", **{alias: SECRET})
    assert (rejection.slug, list(rejection.errors)) == ("type-not-allowed", [alias])


def test_the_first_of_the_type_fields_counts() -> None:
    """type comes before event_type, and that before event; null is passed over."""
    aliases = {"event_type": "call", "event": "cart_add"}
    assert taken("conversion", type="purchase", **aliases).type == "purchase"
    assert taken("conversion", type=None, **aliases).type == "call"


def test_occurred_at_is_an_alias_of_timestamp() -> None:
    """timestamp comes first; an error bears the client's name for the field."""
    early, late = "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"
    assert taken("conversion", occurred_at=late).timestamp_text == late
    assert taken("conversion", timestamp=early, occurred_at=late).timestamp_us == 0
    rejection = refused("conversion", occurred_at="soon")
    assert (rejection.slug, list(rejection.errors)) == ("timestamp-invalid", ["occurred_at"])


@pytest.mark.parametrize("name", ["track", "interaction"])
def test_aliases_are_of_conversions_alone(name: str) -> None:
    """Elsewhere an alias is an unknown field."""
    assert taken(name, occurred_at="soon", event="x", event_type=5) == taken(name)


# limits


@EVERY
@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"extra": "a" * 8193}, "extra"),
        ({"extra": "a\0"}, "extra"),
        ({"extra": 2**53}, "extra"),
        ({"extra": -(2**53)}, "extra"),
        ({"metadata": {"x": {"y": "a" * 8193}}}, "metadata.x.y"),
        ({"metadata": {"x": [0, {"y": "\0"}]}}, "metadata.x.1.y"),
        ({"metadata": {"x": 1e30}}, "metadata.x"),
        ({"metadata": {"x": [2**64]}}, "metadata.x.0"),
        ({"metadata": {"x": {str(n): n for n in range(129)}}}, "metadata.x"),
        ({"metadata": {"x": {"a" * 8193: 1}}}, "metadata.x"),
        ({"metadata": {"a\0": 1}}, "metadata"),
        ({"a\0": 1}, "body"),
        ({str(n): n for n in range(129)}, "body"),
    ],
)
def test_the_limits_hold_at_any_depth(name: str, fields: dict[str, object], where: str) -> None:
    """A value beyond a limit is named by its dotted path, the name of a property by its owner."""
    rejection = refused(name, **fields)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", [where])


@EVERY
def test_what_reaches_a_limit_is_taken(name: str) -> None:
    """The limits themselves are allowed."""
    metadata = {
        "a" * 8192: "\n" * 8192,
        "b": [2**53 - 1, -(2**53) + 1, 0.5, True, None],
        "c": {str(n): n for n in range(128)},
    }
    assert taken(name, metadata=metadata).metadata == metadata
    room = 128 - len(MINIMAL[name])
    assert taken(name, **{f"x{n}": n for n in range(room)}) == taken(name)


@EVERY
@given(
    st.recursive(
        st.none() | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner),
        max_leaves=20,
    ),
    st.integers(0, 18),
    st.sampled_from(["extra", "metadata"]),
    st.sampled_from([0, 8192]),
)
def test_a_body_is_refused_exactly_if_it_nests_too_deep(
    name: str, value: Any, wraps: int, field: str, pad: int
) -> None:
    """Deeper than sixteen containers, the body counted, in any field, in short JSON and in long."""
    for level in range(wraps):
        value = [value] if level % 2 else {"a": value}
    body = {**MINIMAL[name], field: {"a": value}}
    result = getattr(CONTRACT, name)(body, plain_of(body) + b" " * pad)
    assert (result == TOO_DEEP) == is_deep(body)
    assert isinstance(result, Payload) != is_deep(body)


@EVERY
@pytest.mark.parametrize("nested", [b"[" * 17 + b"]" * 17, b'{"a":' * 1000 + b"1" + b"}" * 1000])
def test_a_body_that_is_nothing_but_deep_is_too_deep(name: str, nested: bytes) -> None:
    """As deep as the parser goes; whatever else is wrong with it."""
    assert getattr(CONTRACT, name)(orjson.loads(nested), nested) == TOO_DEEP


# explanations


@EVERY
@pytest.mark.parametrize("body", [None, [], "x", 5, True, [{}]])
def test_a_body_that_is_no_object_is_refused(name: str, body: object) -> None:
    """The fault of a body as a whole stands under body."""
    rejection = refused_body(name, body)
    assert rejection.errors == {"body": ["The body must be an object."]}
    assert rejection.slug == "payload-invalid"


def test_the_message_is_the_first_error_and_counts_the_others() -> None:
    """One sentence tells the first fault and how many more there are."""
    two = refused_body("track", {})
    assert two.message == "The tenant_id field is required. (and 1 more error)"
    assert two.slug == "field-missing"
    three = refused_body("track", {"metadata": 5})
    assert three.message == "The tenant_id field is required. (and 2 more errors)"
    assert three.slug == "payload-invalid"


def test_long_names_are_shortened_and_control_characters_masked() -> None:
    """A property's name appears as at most 64 printable characters."""
    assert list(refused("track", metadata={"n" * 500: "\0"}).errors) == ["metadata." + "n" * 64]
    assert list(refused("track", metadata={"a\nb": "\0"}).errors) == ["metadata.a?b"]


def test_at_most_twenty_fields_are_named() -> None:
    """Ten thousand faults are told as twenty."""
    rejection = refused("track", metadata={f"k{n}": "\0" for n in range(10_000)})
    assert len(rejection.errors) == 20


def test_a_fault_at_the_end_of_much_that_is_sound_is_found() -> None:
    """Size hides no fault."""
    rejection = refused("track", metadata={"x": [0] * 30_000 + ["\0"]})
    assert list(rejection.errors) == ["metadata.x.30000"]


@EVERY
def test_bodies_are_left_alone(name: str) -> None:
    """Neither reading nor explaining changes the body, and metadata is a copy."""
    body = {**MINIMAL[name], "metadata": {"a": 1}, "event_id": UUID, "product_id": 5.0}
    for each in (body, {**body, "metadata": {"a": "\0"}}):
        before = copy.deepcopy(each)
        METHODS[name](each)
        assert each == before
    assert taken(name, metadata=body["metadata"]).metadata is not body["metadata"]


# Against the reference

odd = st.text(max_size=4) | st.sampled_from(["\0", "a" * 8192, "a" * 255, "\n"])
texts = odd.map("¤".__add__)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=3)
# hypothesis also draws texts that it finds in the source: a key must not look like a value.
keys = names | odd.filter(lambda text: "¤" not in text)
edges = [2**53 - 1, 2**53, -(2**53), 2**64, 10**30, 1e30, 5.0, -0.0, 0.5, 1e11, 99999999999.9999]
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(edges)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
forms = [
    UUID,
    UUID + "\n",
    "17",
    "17\n",
    "1" * 17,
    "1.5",
    "1.5\n",
    "1e3",
    ".5",
    ".",
    "usd",
    "USD\n",
]
other = ["ABC", "2026-11-23", "a" * 256, "\u0661", "\n", ""]
contexts = st.dictionaries(
    st.sampled_from([*SCHEMAS["common"]["$defs"]["context"]["properties"], "more"]),
    texts | st.none() | values,
    max_size=3,
)
near = contexts | st.sampled_from([*TRACK_TYPES, *INTERACTION_TYPES, *forms, *other])
fields = sorted({field for name in METHODS for field in SCHEMAS[name]["properties"]})
bodies = st.one_of(
    st.builds(
        lambda name, more: {**MINIMAL[name], **more},
        st.sampled_from(sorted(MINIMAL)),
        st.dictionaries(st.sampled_from(fields), near | values, max_size=4),
    ),
    st.dictionaries(st.sampled_from(fields) | names, near | values, max_size=6),
    values,
)


def reference(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY)


def fields_at_fault(name: str, body: object) -> set[str]:
    """The fields named by the reference's own errors."""
    found = set()
    for error in reference(name).iter_errors(body):
        path = [str(part) for part in error.absolute_path]
        missing = error.message.split("'")[1:2] if error.validator == "required" else []
        found.add(".".join(path + missing) or "body")
    return found


@EVERY
@given(body=bodies)
@settings(max_examples=examples(300))
def test_the_contract_agrees_with_the_reference(name: str, body: object) -> None:
    """A schema refuses a body exactly when the reference does, and for the same fields."""
    result = METHODS[name](body)
    expected = fields_at_fault(name, body)
    if not expected:
        assert isinstance(result, Payload) or set(result.errors) <= BEYOND_SCHEMA
    elif all(field.isprintable() and len(field) <= 64 for field in expected):
        assert isinstance(result, Rejection)
        assert set(result.errors) == expected
    else:
        assert isinstance(result, Rejection)


@EVERY
@given(body=bodies, pad=st.sampled_from([0, 8192]), text=st.sampled_from(["", "\0", "a" * 8193]))
def test_the_size_of_the_json_decides_nothing(name: str, body: object, pad: int, text: str) -> None:
    """A text that breaks its limits is found in short JSON and in long, as a value and as a key."""
    check = getattr(CONTRACT, name)
    for each in (body, {**MINIMAL[name], "x": [text]}, {**MINIMAL[name], "metadata": {text: 1}}):
        plain = plain_of(each)
        assert check(each, plain + b" " * pad) == METHODS[name](each)
        assert isinstance(check(each, plain), Payload) <= reference(name).is_valid(each)


@EVERY
@given(body=bodies)
def test_a_refusal_is_never_empty_and_never_repeats_a_value(name: str, body: object) -> None:
    """Every refusal has a message on a field, and no text the client sent as a value."""
    result = METHODS[name](body)
    if isinstance(result, Rejection):
        assert result.message
        assert result.errors
        assert all(result.errors.values())
        assert "¤" not in str(result)


@given(sent=scalars)
def test_the_transaction_id_to_repeat_is_one_the_schema_takes(sent: object) -> None:
    """A transaction id is repeated exactly when it is a valid one."""
    is_valid = reference("conversion").is_valid({"tenant_slug": "x", "transaction_id": sent})
    assert transaction_id_of({"transaction_id": sent}) == (sent if is_valid else None)


# The context, and the event that led to a sale


@EVERY
def test_a_context_is_read_as_it_is_sent(name: str) -> None:
    """What is missing is None, and another property is not read."""
    sent = {"path": "/p", "query": "?utm_source=x", "ip": None, "more": [1]}
    assert taken(name, context=sent).context == SentContext("/p", "?utm_source=x")
    full = {field.name: field.name for field in dataclasses.fields(SentContext)}
    assert taken(name, context=full).context == SentContext(**full)


@EVERY
@pytest.mark.parametrize("sent", [None, {}])
def test_a_context_without_anything_is_none(name: str, sent: object) -> None:
    """Nothing is known of the visit."""
    assert taken(name, context=sent).context is None


@EVERY
@pytest.mark.parametrize(
    ("sent", "field"),
    [("/p", "context"), ([], "context"), ({"path": 1}, "context.path"), ({"ip": {}}, "context.ip")],
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


# Loading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the schemas to spoil."""
    with as_file(files("schemas") / "v1") as source:
        return shutil.copytree(source, tmp_path / "v7")


def test_the_folder_names_the_version(folder: Path) -> None:
    """A contract knows its version."""
    assert CONTRACT.version == "v1"
    assert Contract.load(folder).version == "v7"


@pytest.mark.parametrize("name", ["common", "track", "conversion", "interaction", "event"])
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"$id": "https://x.example/a.json", "type": "colour"}',
        b'{"$id": "https://x.example/a.json", "pattern": "("}',
        b'{"$id": "https://x.example/a.json", "$ref": "nowhere.json"}',
        b'{"$id": "https://x.example/a.json", "$ref": "#/$defs/nothing"}',
    ],
)
def test_a_schema_that_cannot_be_used_is_named(
    folder: Path, name: str, content: bytes | None
) -> None:
    """A missing, unreadable or invalid file is one error of one line with its path."""
    path = folder / f"{name}.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(SchemaFileError) as caught:
        Contract.load(folder)
    assert caught.value.path == path
    assert caught.value.why
    assert str(caught.value) == f"{path}: {caught.value.why}"
    assert "\n" not in str(caught.value)


def test_shared_definitions_without_currencies_are_named(folder: Path) -> None:
    """The shared definitions that the service uses must be there."""
    path = folder / "common.json"
    document = orjson.loads(path.read_bytes())
    del document["$defs"]["currency"]["enum"]
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(SchemaFileError, match="enum"):
        Contract.load(folder)
