"""The tables of the contract: required and optional fields of each endpoint, and their types."""

from decimal import Decimal

import pytest
from contract_tools import (
    EVERY,
    INTERACTION_TYPES,
    MINIMAL,
    TRACK_TYPES,
    UUID,
    refused,
    refused_body,
    taken,
)

from service.collector.contract.payload import Payload


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
