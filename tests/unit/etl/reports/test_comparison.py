"""The period that another one is compared with: one rule for every number."""

from datetime import datetime

import pytest

from etl import zones
from etl.reports import comparison, parameters


def span(since: str, until: str | None, now: str, zone: str = "America/Tegucigalpa") -> list[str]:
    given = {"from": since, "tz": zone} | ({"to": until} if until else {})
    values, found = parameters.parse(given, {"from": None, "to": None, "tz": "UTC"})
    moment = datetime.fromisoformat(now).replace(tzinfo=zones.load(zone))
    compared = comparison.span_before(values, found, moment)
    assert compared is not None
    ends = (compared.since, compared.until)
    return [end.astimezone(found).replace(tzinfo=None).isoformat(" ", "minutes") for end in ends]


@pytest.mark.parametrize(
    ("since", "until", "now", "expected"),
    [
        # Today, so far: yesterday up to the same time.
        ("2026-11-24", "2026-11-24", "2026-11-24 14:00", ["2026-11-23 00:00", "2026-11-23 14:00"]),
        ("2026-11-24", None, "2026-11-24 14:00", ["2026-11-23 00:00", "2026-11-23 14:00"]),
        # The last seven days, today included.
        ("2026-11-18", "2026-11-24", "2026-11-24 14:00", ["2026-11-11 00:00", "2026-11-17 14:00"]),
        ("2026-11-18", None, "2026-11-24 14:00", ["2026-11-11 00:00", "2026-11-17 14:00"]),
        # A week that has just begun, and one that is over.
        ("2026-11-23", "2026-11-29", "2026-11-24 14:00", ["2026-11-16 00:00", "2026-11-17 14:00"]),
        ("2026-11-02", "2026-11-08", "2026-11-24 14:00", ["2026-10-26 00:00", "2026-11-02 00:00"]),
        # Of a day that is still to come nothing has passed.
        ("2026-11-25", "2026-11-25", "2026-11-24 14:00", ["2026-11-24 00:00", "2026-11-24 00:00"]),
        # The last half hour: the half hour before.
        ("2026-11-24T13:30:00", None, "2026-11-24 14:00", ["2026-11-24 13:00", "2026-11-24 13:30"]),
        (
            "2026-11-24T13:00:00",
            "2026-11-24T15:00:00",
            "2026-11-24 14:00",
            ["2026-11-24 11:00", "2026-11-24 12:00"],
        ),
    ],
)
def test_what_has_passed_is_compared_with_as_much_of_the_period_before(since, until, now, expected):
    """In the zone that is asked for."""
    assert span(since, until, now) == expected


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        # Yesterday had 25 hours: its whole day is compared, and up to noon its noon.
        ("2026-11-02", "2026-11-03 00:00", ["2026-11-01 00:00", "2026-11-02 00:00"]),
        ("2026-11-02", "2026-11-02 12:00", ["2026-11-01 00:00", "2026-11-01 12:00"]),
        # Yesterday had 23, and none of it was half past two.
        ("2026-03-09", "2026-03-09 02:30", ["2026-03-08 00:00", "2026-03-08 03:00"]),
    ],
)
def test_days_are_those_of_the_zone_however_long(since, now, expected):
    """By the clocks on the wall."""
    assert span(since, since, now, "America/New_York") == expected


def test_a_day_whose_midnight_is_skipped_is_a_day():
    """It begins at one, and is compared with the whole day before."""
    compared = span("2026-03-08", "2026-03-08", "2026-03-10 00:00", "America/Havana")
    assert compared == ["2026-03-07 00:00", "2026-03-08 01:00"]
    not_begun = span("2026-03-08", "2026-03-08", "2026-03-07 12:00", "America/Havana")
    assert not_begun == ["2026-03-07 00:00", "2026-03-07 00:00"]


@pytest.mark.parametrize(
    ("since", "until", "now", "expected"),
    [
        # The day before the one that never was, and the day after it.
        ("2011-12-29", "2011-12-29", "2012-01-09 00:00", ["2011-12-28 00:00", "2011-12-29 00:00"]),
        ("2011-12-31", "2011-12-31", "2012-01-09 00:00", ["2011-12-29 00:00", "2011-12-31 00:00"]),
        ("2011-12-31", None, "2011-12-31 14:00", ["2011-12-29 00:00", "2011-12-29 14:00"]),
        ("2011-12-29", None, "2011-12-29 14:00", ["2011-12-28 00:00", "2011-12-28 14:00"]),
        # With the next one it is that one.
        ("2011-12-30", "2011-12-31", "2011-12-31 14:00", ["2011-12-29 00:00", "2011-12-29 14:00"]),
        # Six days of a week, and two of the next.
        ("2011-12-26", "2012-01-01", "2012-01-09 00:00", ["2011-12-20 00:00", "2011-12-26 00:00"]),
        ("2011-12-26", "2012-01-01", "2011-12-31 14:00", ["2011-12-20 00:00", "2011-12-24 14:00"]),
        ("2012-01-02", "2012-01-08", "2012-01-03 14:00", ["2011-12-25 00:00", "2011-12-26 14:00"]),
    ],
)
def test_a_day_that_the_calendar_skips_is_no_day(since, until, now, expected):
    """Samoa went from 2011-12-29 to 2011-12-31."""
    assert span(since, until, now, "Pacific/Apia") == expected
    with pytest.raises(parameters.ParameterError):
        span("2011-12-30", "2011-12-30", now, "Pacific/Apia")


def test_without_a_beginning_there_is_nothing_to_compare_with():
    """Nor where the calendar begins."""
    utc = zones.load("UTC")
    now = datetime(2026, 11, 24, tzinfo=utc)
    assert comparison.span_before({"from": None, "to": now}, utc, now) is None
    first = datetime(1, 1, 1, tzinfo=utc)
    assert comparison.span_before({"from": first, "to": None}, utc, now) is None
