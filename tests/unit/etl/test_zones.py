"""The zones: where a day begins, in those that make it hard."""

from datetime import date, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest

from etl import zones


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        ("UTC", "2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("America/Tegucigalpa", "2026-11-23", "2026-11-23T00:00:00-06:00"),
        # Clocks go from 01:00 back to midnight: the first of the two.
        ("America/Havana", "2025-11-02", "2025-11-02T00:00:00-04:00"),
        # Clocks go from 24:00 back to 23:00: midnight comes once.
        ("America/Asuncion", "2024-03-24", "2024-03-24T00:00:00-04:00"),
        # From 00:01 back to 23:01: the day before goes on after midnight.
        ("America/St_Johns", "2010-11-07", "2010-11-07T00:00:00-02:30"),
        # Midnight is skipped: the day begins at one.
        ("America/Havana", "2026-03-08", "2026-03-08T01:00:00-04:00"),
        ("Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"),
        # From 23:30 to 00:30: it begins at half past midnight.
        ("America/Toronto", "1919-03-31", "1919-03-31T00:30:00-04:00"),
        # The whole day is skipped: it begins where the next does.
        ("Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"),
    ],
)
def test_a_day_begins_at_its_first_instant(name, day, expected):
    """Whatever clocks do to its midnight."""
    zone = zones.load(name)
    begins = zones.start_of_day(date.fromisoformat(day), zone)
    assert begins.astimezone(zone).isoformat() == expected


def test_a_time_that_is_skipped_is_the_first_after_it():
    """A time that comes twice is the first of the two."""
    zone = zones.load("America/New_York")
    skipped = zones.first_instant(datetime.fromisoformat("2026-03-08T02:30"), zone)
    assert skipped.isoformat() == "2026-03-08T07:00:00+00:00"
    twice = zones.first_instant(datetime.fromisoformat("2026-11-01T01:30"), zone)
    assert twice.isoformat() == "2026-11-01T05:30:00+00:00"


def test_the_system_has_no_say(monkeypatch, tmp_path):
    """Zones come from the package, wherever the system keeps its own."""
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path),))
    assert zones.load("Asia/Kolkata").key == "Asia/Kolkata"
    for name in ("localtime", "posix/UTC", "../zones", "/etc/passwd", ""):
        with pytest.raises(zones.UnknownZone):
            zones.load(name)
    assert not issubclass(zones.UnknownZone, ZoneInfoNotFoundError)
