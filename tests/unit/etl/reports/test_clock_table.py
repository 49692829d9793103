"""The buckets that SQL finds, against a look at the clocks minute after minute."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import calendar_reference as reference
import duckdb
import pyarrow as pa
import pytest
from log_tools import Shop, event, rejection

from etl import reports, zones
from etl.lake.live.view import LiveView
from etl.reports import clock_table
from etl.reports.parameters import INTERVALS

# Where DuckDB's own zones and the package's part ways, clocks go round midnight, change by half an
# hour or a minute past the hour, or a day is skipped.
HARD = [
    ("America/Vancouver", "2026-11-01"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2025-11-02"),
    ("Africa/Cairo", "2026-04-24"),
    ("America/Asuncion", "2024-03-24"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Gaza", "2011-04-01"),
    ("Antarctica/Casey", "2022-10-02"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/St_Johns", "2010-11-07"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Auckland", "2026-09-27"),
    ("Asia/Kathmandu", "2026-01-01"),
    ("America/New_York", "2026-11-01"),
]
YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def moments_around(day: str, random: Random) -> list[datetime]:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    hours = [midnight + timedelta(minutes=30 * half) for half in range(-60, 100)]
    edges = [hour + timedelta(microseconds=step) for hour in hours for step in (-1, 0)]
    anywhere = [midnight + timedelta(seconds=random.randint(-3_000_000, 3_000_000)) for _ in edges]
    return edges + anywhere


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    shop = Shop(tmp_path_factory.mktemp("clocks") / "data")
    shop.layout.prepare()
    with LiveView(shop.data).connect() as con:
        yield con


def buckets(
    con: duckdb.DuckDBPyConnection, moments: list[datetime], zone: str, interval: str
) -> list[datetime]:
    con.register("moments", pa.table({"moment": pa.array(moments, pa.timestamp("us", tz="UTC"))}))
    con.register("clock", clock_table.table(zones.load(zone), interval))
    found = con.sql(
        "SELECT moment, bucket_of(minute_of(moment), $step, offset_us, fresh_us, bucket_us) "
        "AS bucket FROM moments ASOF JOIN clock ON minute_of(moment) >= began_us",
        params={"step": interval},
    ).to_arrow_table()
    by_moment = dict(zip(found["moment"].to_pylist(), found["bucket"].to_pylist(), strict=True))
    return [by_moment[moment] for moment in moments]


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize(("zone", "day"), HARD)
def test_every_moment_is_in_its_bucket(con, zone, day, interval):
    """Around every change of the clocks that is hard, and a month to either side."""
    moments = moments_around(day, Random(zone))
    expected = [reference.bucket(moment, zone, interval) for moment in moments]
    found = buckets(con, moments, zone, interval)
    told = [bucket.astimezone(reference.zone(zone)).isoformat() for bucket in found]
    assert told == [bucket.isoformat() for bucket in expected]


def test_days_are_right_in_any_zone(con):
    """In 2026, at the changes of its clocks and elsewhere; here of some zones."""
    random = Random(13)
    for name in random.sample(sorted(zones.names()), 60):
        moments = changes_of_2026(name)
        moments += [YEAR + timedelta(minutes=random.randrange(525_600)) for _ in range(4)]
        expected = [reference.bucket(moment, name, "day") for moment in moments]
        found = [bucket.isoformat() for bucket in buckets(con, moments, name, "day")]
        assert found == [bucket.astimezone(UTC).isoformat() for bucket in expected], name


def changes_of_2026(name: str) -> list[datetime]:
    """The moments three hours apart between which the clocks were changed."""
    steps = [YEAR + timedelta(hours=3 * step) for step in range(2920)]
    offsets = [step.astimezone(reference.zone(name)).utcoffset() for step in steps]
    changed = [index for index in range(1, len(steps)) if offsets[index] != offsets[index - 1]]
    return [steps[index] for change in changed for index in (change - 1, change)]


def test_moments_before_1970_have_buckets_too(con):
    """The minutes of negative microseconds round down as all do."""
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert buckets(con, [moment], "UTC", "hour") == [datetime(1969, 12, 31, 23, tzinfo=UTC)]


ASKED = """
import sys
from pathlib import Path
from etl import reports
from etl.lake.live.view import LiveView
for tz in ("UTC", "Pacific/Auckland", "America/Tegucigalpa"):
    with LiveView(Path(sys.argv[1])).connect() as con:
        print(reports.run(con, "timeseries", tz=tz, interval="hour", from_="2026-11-23").rows)
        print(reports.run(con, "quality", tz=tz, from_="2026-11-23", to="2026-11-23").rows)
"""


def test_the_zone_of_the_process_changes_nothing(tmp_path):
    """Nor the zone files of its system."""
    shop = Shop(tmp_path / "data")
    hours = range(-30, 30)
    shop.seal(*(event(hour * 3600) for hour in hours), *(rejection(hour * 3600) for hour in hours))
    shop.compact()
    told = {
        subprocess.run(
            [sys.executable, "-c", ASKED, str(shop.data)],
            env=os.environ | {"TZ": zone, "PYTHONTZPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "Pacific/Auckland", "America/Tegucigalpa")
    }
    assert len(told) == 1


def test_a_midnight_that_comes_twice_begins_one_day(tmp_path):
    """In Havana, on the second of November 2025: one bucket, named by the first midnight."""
    shop = Shop(tmp_path / "data")
    times = ("2025-11-02T04:30:00Z", "2025-11-02T05:30:00Z", "2025-11-03T04:59:59Z")
    shop.seal(*(event(n, occurred_at=time) for n, time in enumerate(times)))
    asked = {"tz": "America/Havana", "from_": "2025-11-02", "to": "2025-11-02"}
    with LiveView(shop.data).connect() as con:
        [row] = reports.run(con, "timeseries", **asked).rows
    assert (row["bucket"].isoformat(), row["events"]) == ("2025-11-02T00:00:00-04:00", 3)
