"""A report's parameters: text turned into values, and every wrong one named without its value."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.reports import parameters
from etl.reports.parameters import ParameterError, parse

ALLOWED: dict[str, object] = {
    "tenant": None,
    "from": None,
    "to": None,
    "interval": "day",
    "tz": "UTC",
    "bots": False,
    "limit": 50,
}


def value(name: str, text: str, **others: str) -> object:
    values, _ = parse({name: text, **others}, ALLOWED)
    return values[name]


def errors(given: dict[str, str], allowed: dict[str, object] = ALLOWED) -> dict[str, list[str]]:
    with pytest.raises(ParameterError) as caught:
        parse(given, allowed)
    return caught.value.errors


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_what_is_not_given_has_its_default():
    """And the defaults are not changed by what is."""
    values, zone = parse({"limit": "7"}, ALLOWED)
    assert values == ALLOWED | {"limit": 7}
    assert zone.key == "UTC"
    assert ALLOWED["limit"] == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", "2026-11-23T00:00:00"),
        ("2026-11-23T04:10:00Z", "2026-11-23T04:10:00"),
        ("2026-11-23T04:10:00.123456", "2026-11-23T04:10:00.123456"),
        ("2026-11-23T04:10:00+02:00", "2026-11-23T02:10:00"),
        ("2026-11-23T04:10:00 02:00", "2026-11-23T02:10:00"),
        ("2026-11-23 04:10", "2026-11-23T04:10:00"),
    ],
)
def test_a_moment_is_a_date_or_a_time(text, expected):
    """Without an offset it is of the zone; a plus that a URL made a space is a plus."""
    assert value("from", text) == utc(expected)


def test_a_date_as_to_includes_that_day():
    """A time as `to` is excluded, as is said."""
    assert value("to", "2026-11-23") == utc("2026-11-24T00:00:00")
    assert value("to", "2026-11-23T10:00:00Z") == utc("2026-11-23T10:00:00")


def test_dates_are_of_the_zone():
    """Also on a day that clocks change, which has not 24 hours."""
    zone = {"tz": "America/New_York"}
    assert value("from", "2026-11-01", **zone) == utc("2026-11-01T04:00:00")
    assert value("to", "2026-11-01", **zone) == utc("2026-11-02T05:00:00")
    assert value("from", "2026-11-01T12:00:00", **zone) == utc("2026-11-01T17:00:00")
    assert value("from", "2026-11-01T12:00:00Z", **zone) == utc("2026-11-01T12:00:00")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("from", "yesterday"),
        ("from", ""),
        ("from", "2026-02-30"),
        ("from", "2026-11-23T25:00:00"),
        ("from", "0001-01-01T00:00:00+14:00"),
        ("to", "9999-12-31"),
        ("to", "2026-11-23T00:00:00Z; DROP"),
        ("interval", "minute"),
        ("interval", "Day"),
        ("interval", ""),
        ("tz", "Mars/Olympus"),
        ("tz", ""),
        ("tz", "../../etc/passwd"),
        ("tz", "Asia"),
        ("tz", "a\0b"),
        ("tenant", "/a\udcffb"),
        ("tz", "x" * 5000),
        ("bots", "maybe"),
        ("limit", "0"),
        ("limit", "10001"),
        ("limit", "000010000999"),
        ("limit", "-5"),
        ("limit", "1e3"),
        ("limit", "٣"),
        ("limit", ""),
        ("limit", "9" * 5000),
    ],
)
def test_a_wrong_value_is_named_and_never_echoed(name, text):
    """With what the parameter takes."""
    found = errors({name: text})
    assert list(found) == [name]
    (message,) = found[name]
    assert message.startswith("takes ")
    assert len(text) < 3 or text not in message


@pytest.mark.parametrize(
    ("name", "text", "zone"),
    [("to", "9999-12-31", "UTC"), ("from", "0001-01-01", "Pacific/Auckland")],
)
def test_a_date_beyond_the_calendar_is_refused_as_such(name, text, zone):
    """It is a date; the day before it, or after it, is an answer."""
    assert errors({name: text, "tz": zone}) == {
        name: ["takes a time in the years 1 to 9999 (UTC)."]
    }
    assert value("to", "9999-12-30") == utc("9999-12-31T00:00:00")


def test_every_wrong_parameter_is_named_at_once():
    """Those that the report does not take too, with those it takes."""
    given = {"from": "x", "to": "y", "interval": "z", "limit": "w", "color": "red"}
    found = errors(given)
    assert set(found) == set(given)
    assert found["color"] == [
        "is not a parameter of this report; it takes tenant, from, to, interval, tz, bots, limit."
    ]
    assert "red" not in str(found)
    assert set(errors({"limit": "5"}, {"tenant": None})) == {"limit"}


def test_a_period_must_not_end_before_it_begins():
    """Nor where it begins; one day is a period."""
    assert set(errors({"from": "2026-11-24", "to": "2026-11-23"})) == {"to"}
    assert set(errors({"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T00:00:00Z"})) == {"to"}
    values, _ = parse({"from": "2026-11-23", "to": "2026-11-23"}, ALLOWED)
    assert values["to"] - values["from"] == timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, True) for text in ("true", "1", "YES", "on")]
    + [(text, False) for text in ("false", "0", "No", "off")],
)
def test_a_flag_is_yes_or_no(text, expected):
    """In any case; nothing is neither."""
    assert value("bots", text) is expected


@given(st.integers(1, 10_000))
def test_limits(number):
    """From 1 to the most rows a report gives."""
    assert value("limit", str(number)) == number


@given(st.dictionaries(st.sampled_from(sorted(ALLOWED)), st.text(max_size=30), min_size=1))
def test_any_text_is_a_value_or_a_mistake(given):
    """Never another error: it comes from whoever asks."""
    try:
        values, _ = parse(given, ALLOWED)
    except ParameterError as error:
        assert set(error.errors) <= set(given)
    else:
        assert set(values) == set(ALLOWED)


def test_intervals_are_those_that_are_offered():
    """Hour, day, week, month."""
    assert [value("interval", name) for name in parameters.INTERVALS] == [
        "hour",
        "day",
        "week",
        "month",
    ]
