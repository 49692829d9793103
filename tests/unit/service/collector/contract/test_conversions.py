"""The fields of a conversion alone: value, currency, transaction id, and the other names of two."""

import pytest
from contract_tools import SCHEMAS, SECRET, refused, taken

from service.collector.contract.payload import transaction_id_of


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
        ("null", None),
        ("NULL", None),
        ("undefined", None),
        (" None ", None),
        ("none-1", "none-1"),
        (" \n", None),
        (0, "0"),
        (1001, "1001"),
        (1001.0, "1001"),
        (12.5, "12.5"),
        ("a" * 255, "a" * 255),
    ],
)
def test_a_transaction_id_is_a_text(sent: object, text: str | None) -> None:
    """A number too; one that stands for no value is none; either is known as it was sent."""
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
