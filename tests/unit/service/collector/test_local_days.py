"""The calendar days of shops: by their clocks, without a gap."""

from datetime import UTC, date, datetime, timedelta

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import zones
from service.collector.local_days import LocalDays

SECOND_US = 1_000_000


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@pytest.mark.parametrize(
    ("zone", "begins", "day"),
    [
        (None, "2026-11-23T00:00:00Z", "2026-11-23"),
        ("America/Tegucigalpa", "2026-11-23T06:00:00Z", "2026-11-23"),
        ("Pacific/Kiritimati", "2026-11-22T10:00:00Z", "2026-11-23"),
        ("Etc/GMT+12", "2026-11-23T12:00:00Z", "2026-11-23"),
        ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-08"),
        ("America/New_York", "2026-03-09T04:00:00Z", "2026-03-09"),
        ("America/New_York", "2026-11-02T05:00:00Z", "2026-11-02"),
        ("America/Santiago", "2026-09-06T04:00:00Z", "2026-09-06"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
        ("No/Such_Zone", "2026-11-23T00:00:00Z", "2026-11-23"),
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str | None, begins: str, day: str) -> None:
    """To the microsecond, from either side; also where clocks skip midnight, or a whole day."""
    first = us(begins)
    for moments in ((first - 1, first), (first, first - 1)):
        days = LocalDays()
        shown = {moment: days.day(zone, moment) for moment in moments}
        assert shown[first] == date.fromisoformat(day)
        assert shown[first - 1] < shown[first]


def test_days_never_go_back() -> None:
    """Where clocks are set back over midnight, the day goes on."""
    days, shown = LocalDays(), []
    for minute in range(180):
        shown.append(
            days.day("America/Havana", us("2026-11-01T03:00:00Z") + minute * 60 * SECOND_US)
        )
    assert shown == sorted(shown)


@settings(max_examples=examples(200))
@given(
    st.sampled_from(sorted(zones.names())),
    st.lists(st.integers(us("2020-01-01T00:00:00Z"), us("2030-01-01T00:00:00Z")), min_size=1),
)
def test_what_was_asked_before_changes_nothing(zone: str, moments: list[int]) -> None:
    """A day is that of the zone, whatever the order of the questions."""
    days = LocalDays()
    for moment in moments:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
        assert days.day(zone, moment) == zones.day_of(at, zones.load(zone))
