"""Events of benchmarks are like those of users, in the log and in lakes."""

import json
import random
from collections import Counter
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import pytest
from test_schemas import is_valid

from benchmarks import lakes, pages, users
from benchmarks.backlog import Backlog, fill, record
from etl.lake.live.view import LiveView
from etl.lake.snapshot import SIGNED, Snapshot
from etl.lake.tables import EVENTS
from etl.log import segments

START = datetime(2026, 11, 1, tzinfo=UTC)


def some(count: int) -> list[users.Event]:
    """Return the first events of users, the same each time."""
    return list(islice(users.events(random.Random(1)), count))


@pytest.mark.parametrize("shops", [1, 2, 5_000])
def test_shares_sum_to_one_and_the_second_shop_has_half_of_the_first(shops: int) -> None:
    """They are those of Zipf's law."""
    shares = users.shares(shops)
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([shares[0] / rank for rank in range(1, shops + 1)])


def test_the_mix_of_types_is_whole() -> None:
    """A thousand events have a type each, and each type has an endpoint."""
    assert sum(users.PER_MILLE.values()) == 1_000
    assert users.PER_MILLE.keys() == users.ENDPOINTS.keys()


def test_slots_follow_the_shares() -> None:
    """Each shop has its share of the slots, and no slot is left."""
    slots = Counter(lakes.shop_slots(1 << 16))
    assert slots.total() == 1 << 16
    expected = [share * (1 << 16) for share in users.shares(users.SHOPS)]
    assert all(abs(slots[shop] - share) <= 1 for shop, share in enumerate(expected, start=1))


def test_no_two_events_have_an_id_in_common() -> None:
    """Ids are random, and sales have one more."""
    events = some(5_000)
    assert len({event.event_id for event in events}) == len(events)
    assert {event.type for event in events} == users.PER_MILLE.keys()
    assert {sale.is_signed for event in events if (sale := event.sale)} == {True, False}


def test_a_record_is_one_that_the_collector_could_store() -> None:
    """By the schema of stored events."""
    for event in some(2_000):
        assert is_valid("event", json.loads(record(event, START)))


def test_paths_are_made_up_where_real_traffic_is_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And the description says so."""
    monkeypatch.setattr(pages, "_TRAFFIC", tmp_path / "absent.csv")
    pages.paths.cache_clear()
    made_up = pages.paths()
    assert len(set(made_up)) == len(made_up) > 1_000
    assert "absent" in pages.describe()
    pages.paths.cache_clear()


def test_a_backlog_has_the_events_it_is_asked_for(tmp_path: Path) -> None:
    """In sealed segments of its series."""
    fill(tmp_path, Backlog(1_200, shops=3))
    sealed = segments.sealed_everywhere(tmp_path / "log")
    lines = {series: sum(segment.lines for segment in listed) for series, listed in sealed.items()}
    assert sorted(lines.values()) == [500, 700]


def test_a_lake_has_the_events_it_is_asked_for(tmp_path: Path) -> None:
    """One shop has its own number of them; all have different keys, and keep to their days."""
    lake = lakes.Lake(3_000, first_day=date(2026, 10, 1), days=2, files_per_day=3, of_shop=100)
    lakes.fill(tmp_path, lake)
    assert len(list((tmp_path / "lake/events").glob("*/*.parquet"))) == 6
    assert Snapshot.load(tmp_path / "lake/events", EVENTS).watermark(SIGNED) == 1
    with LiveView(tmp_path).connect() as con:
        found = con.execute(
            "SELECT count(*), count(DISTINCT dedupe_key), count(DISTINCT event_id), "
            "count(*) FILTER (tenant_id = ?), min(received_at::DATE), max(received_at::DATE) "
            "FROM events",
            [lakes.SHOP],
        ).fetchone()
        metadata = con.execute("SELECT metadata FROM events").fetchall()
    assert found == (3_000, 3_000, 3_000, 100, date(2026, 10, 1), date(2026, 10, 2))
    assert all(isinstance(json.loads(text), dict) for (text,) in metadata)
