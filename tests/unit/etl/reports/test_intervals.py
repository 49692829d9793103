"""Hours, days, weeks and months: those of the zone, where clocks change as well."""

import pytest
from log_tools import Shop, event
from report_tools import Asked, rows


def at_times(shop: Shop, *times: str) -> None:
    shop.seal(*(event(0, occurred_at=time, received_at="2026-11-30T00:00:00Z") for time in times))


def buckets(shop: Asked, **given: str) -> list[tuple[str, int]]:
    return [(bucket.isoformat(), n) for bucket, _, n in rows(shop, "timeseries", **given)]


def test_days_are_those_of_the_zone(shop):
    """Six hours behind UTC, a day ends at six in the morning."""
    at_times(shop, "2026-11-23T05:59:59.999999Z", "2026-11-23T06:00:00Z")
    assert buckets(shop) == [("2026-11-23T00:00:00+00:00", 2)]
    assert buckets(shop, tz="America/Tegucigalpa") == [
        ("2026-11-22T00:00:00-06:00", 1),
        ("2026-11-23T00:00:00-06:00", 1),
    ]
    local = {"tz": "America/Tegucigalpa", "from_": "2026-11-23"}
    assert len(rows(shop, "recent", **local)) == 1


def test_a_day_that_clocks_go_back_has_25_hours(shop):
    """It begins with one offset and the next day with another."""
    at_times(shop, "2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z")
    zone = {"tz": "America/New_York"}
    assert buckets(shop, **zone) == [
        ("2026-11-01T00:00:00-04:00", 2),
        ("2026-11-02T00:00:00-05:00", 1),
    ]
    assert len(rows(shop, "recent", from_="2026-11-01", to="2026-11-01", **zone)) == 2


def test_an_hour_that_comes_twice_is_two_hours(shop):
    """Half past one, and an hour later half past one again."""
    at_times(shop, "2026-11-01T05:59:59.999999Z", "2026-11-01T06:30:00Z")
    assert buckets(shop, tz="America/New_York", interval="hour") == [
        ("2026-11-01T01:00:00-04:00", 1),
        ("2026-11-01T01:00:00-05:00", 1),
    ]


def test_hours_are_those_of_the_zone(shop):
    """Also where it is half an hour off."""
    at_times(shop, "2026-11-23T05:29:59Z", "2026-11-23T05:30:00Z")
    assert buckets(shop, tz="Asia/Kolkata", interval="hour") == [
        ("2026-11-23T10:00:00+05:30", 1),
        ("2026-11-23T11:00:00+05:30", 1),
    ]


def test_a_day_that_clocks_go_forward_has_23_hours(shop):
    """Its first and its last moment are of that day."""
    at_times(shop, "2026-03-08T05:00:00Z", "2026-03-09T03:59:59Z", "2026-03-09T04:00:00Z")
    zone = {"tz": "America/New_York"}
    assert buckets(shop, **zone) == [
        ("2026-03-08T00:00:00-05:00", 2),
        ("2026-03-09T00:00:00-04:00", 1),
    ]
    assert len(rows(shop, "recent", from_="2026-03-08", to="2026-03-08", **zone)) == 2


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("hour", [("2026-10-25T22:00:00+00:00", 1), ("2026-11-01T23:00:00+00:00", 1)]),
        ("week", [("2026-10-19T00:00:00+00:00", 1), ("2026-10-26T00:00:00+00:00", 1)]),
        ("month", [("2026-10-01T00:00:00+00:00", 1), ("2026-11-01T00:00:00+00:00", 1)]),
    ],
)
def test_intervals(shop, interval, expected):
    """Weeks begin on Monday."""
    at_times(shop, "2026-10-25T22:59:00Z", "2026-11-01T23:01:00Z")
    assert buckets(shop, interval=interval) == expected
