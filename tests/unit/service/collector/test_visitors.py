"""Visitor ids: stable within a day, meaningless after it."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import zones
from service.collector.local_days import LocalDays
from service.collector.visitors import (
    DailySalts,
    SaltDamagedError,
    is_browser,
    visitor_id,
    wants_privacy,
)

DAY = date(2026, 11, 23)
SALT = bytes(range(32))


def test_the_salt_of_a_day_is_kept(tmp_path: Path) -> None:
    """A day has one salt, for this process and the next."""
    salts = DailySalts(tmp_path / "salts")
    salt = salts.salt(DAY)
    assert len(salt) == 32
    assert salts.salt(DAY) == salt
    assert DailySalts(tmp_path / "salts").salt(DAY) == salt


def test_every_day_has_its_own(tmp_path: Path) -> None:
    """Tomorrow's salt says nothing about today's."""
    salts = DailySalts(tmp_path)
    days = [DAY + timedelta(days=n) for n in range(4)]
    assert len({salts.salt(day) for day in days}) == 4
    assert [salts.salt(day) for day in days] == [DailySalts(tmp_path).salt(day) for day in days]


def test_a_salt_is_for_its_owner_alone(tmp_path: Path) -> None:
    """One file a day, readable by nobody else, and nothing left beside it."""
    DailySalts(tmp_path).salt(DAY)
    (path,) = tmp_path.iterdir()
    assert path.name == "2026-11-23"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_racing_processes_agree(tmp_path: Path) -> None:
    """Whoever is first decides, and the others take it."""
    many = [DailySalts(tmp_path) for _ in range(16)]
    with ThreadPoolExecutor(max_workers=16) as pool:
        taken = set(pool.map(lambda salts: salts.salt(DAY), many))
    assert len(taken) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-23"]


def test_the_loser_of_a_race_takes_the_winners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A salt that appears while another is being made is the one used."""
    link = os.link

    def lose(source: str, target: Path) -> None:
        target.write_bytes(SALT)
        link(source, target)

    monkeypatch.setattr(os, "link", lose)
    assert DailySalts(tmp_path).salt(DAY) == SALT
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-23"]


@pytest.mark.parametrize("content", [b"", b"short", SALT + b"x"])
def test_a_damaged_salt_is_not_used(tmp_path: Path, content: bytes) -> None:
    """A weak salt would identify people: it is an error, and names the file."""
    (tmp_path / "2026-11-23").write_bytes(content)
    with pytest.raises(SaltDamagedError) as damaged:
        DailySalts(tmp_path).salt(DAY)
    assert damaged.value.path == tmp_path / "2026-11-23"


def test_a_salt_is_destroyed_once_its_date_is_over_everywhere(tmp_path: Path) -> None:
    """At the end of the day in UTC-12, to the microsecond: the 48 hours after it began in UTC are
    kept by a process that looks only every hour."""
    salts = DailySalts(tmp_path)
    before, after = salts.salt(DAY), salts.salt(DAY + timedelta(days=1))
    end = datetime(2026, 11, 24, tzinfo=timezone(timedelta(hours=-12)))
    assert salts.destroy_old(end - timedelta(microseconds=1)) == []
    assert salts.salt(DAY) == before
    assert salts.destroy_old(end) == ["2026-11-23"]
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-24"]
    assert salts.salt(DAY) != before
    assert salts.salt(DAY + timedelta(days=1)) == after
    looks_every = timedelta(hours=1)
    assert end + looks_every < datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize("after_h", range(-14, 36))
def test_no_salt_in_use_is_destroyed(tmp_path: Path, after_h: int) -> None:
    """In no zone of the world, at no hour; and one look-up a date is enough, from memory."""
    now = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=after_h)
    salts, days = DailySalts(tmp_path), LocalDays()
    us = int(now.timestamp()) * 1_000_000
    shown = {days.day(name, us) for name in sorted(zones.names())}
    assert len(shown) <= 3
    first = {day: salts.salt(day) for day in sorted(shown, reverse=True)}
    assert salts.destroy_old(now) == []
    for path in tmp_path.iterdir():
        path.unlink()
    assert {day: salts.salt(day) for day in shown} == first


def test_destroyed_from_memory_where_another_process_removed_the_file(tmp_path: Path) -> None:
    """Every process forgets, though only one of them removes the file."""
    mine, other = DailySalts(tmp_path), DailySalts(tmp_path)
    salt = mine.salt(DAY)
    assert other.destroy_old(datetime(2026, 11, 25, tzinfo=UTC)) == ["2026-11-23"]
    assert mine.destroy_old(datetime(2026, 11, 25, tzinfo=UTC)) == []
    assert mine.salt(DAY) != salt


def test_a_link_left_by_a_kill_is_destroyed_too(tmp_path: Path) -> None:
    """A process killed while making a salt leaves no copy that outlives it."""
    salt = tmp_path / "2026-11-23"
    salt.write_bytes(SALT)
    os.link(salt, tmp_path / "2026-11-23.k3x_9abc.tmp")
    removed = DailySalts(tmp_path).destroy_old(datetime(2026, 11, 25, tzinfo=UTC))
    assert removed == ["2026-11-23", "2026-11-23.k3x_9abc.tmp"]
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Only what is ours, and over, is removed."""
    names = ["README", "2020-01-01.bak", "20200101", "2020-13-01", "2020-W01-1", ".2020-01-01"]
    for name in names:
        (tmp_path / name).write_text("not a salt")
    (tmp_path / "2020-01-01").mkdir()
    assert DailySalts(tmp_path).destroy_old(datetime(2026, 11, 25, tzinfo=UTC)) == []
    assert {path.name for path in tmp_path.iterdir()} == {*names, "2020-01-01"}


def test_the_hash_is_pinned() -> None:
    """An id is 16 hex digits; a change of the hash would split a day's visitors."""
    assert visitor_id(SALT, 7, "203.0.113.9", "Mozilla/5.0") == "a52cfcf5f377ec3a"


TEXTS = st.text(st.characters(), max_size=20)
VISITORS = st.tuples(st.integers(min_value=0), TEXTS, TEXTS)


@given(VISITORS, VISITORS)
def test_equal_visitors_have_equal_ids(
    one: tuple[int, str, str], other: tuple[int, str, str]
) -> None:
    """Two ids are equal exactly where tenant, address and user agent are."""
    ids = visitor_id(SALT, *one), visitor_id(SALT, *other)
    assert (ids[0] == ids[1]) == (one == other)


def test_parts_do_not_run_together() -> None:
    """Text cannot move from one part to the next without changing the id."""
    assert visitor_id(SALT, 1, "1.1.1.12", "") != visitor_id(SALT, 1, "1.1.1.1", "2")
    assert visitor_id(SALT, 12, "1", "") != visitor_id(SALT, 1, "21", "")


def test_the_salt_decides() -> None:
    """Another day, another id."""
    assert visitor_id(SALT, 1, "::1", "x") != visitor_id(SALT[::-1], 1, "::1", "x")


def test_any_user_agent_has_an_id() -> None:
    """Even text that is not valid Unicode."""
    assert len(visitor_id(SALT, 1, "::1", "\ud800")) == 16


@pytest.mark.parametrize(
    ("gpc", "dnt", "wanted"),
    [
        ("1", None, True),
        (None, "1", True),
        (None, " 1 ", True),
        ("1", "0", True),
        (None, None, False),
        ("0", "0", False),
        ("", "", False),
        ("true", "yes", False),
        ("11", None, False),
    ],
)
def test_privacy_is_asked_with_a_one(gpc: str | None, dnt: str | None, *, wanted: bool) -> None:
    """Sec-GPC: 1 or DNT: 1 is enough, nothing else is."""
    assert wants_privacy(gpc, dnt) is wanted


FIREFOX = "Mozilla/5.0 (Android 14; Mobile; rv:131.0) Gecko/131.0 Firefox/131.0"


@pytest.mark.parametrize(
    ("site", "mode", "origin", "agent", "browser"),
    [
        ("cross-site", "cors", "https://shop.example", FIREFOX, True),
        ("same-origin", None, None, "", True),
        (None, None, "https://shop.example", FIREFOX, True),
        (None, None, "null", "Opera/9.80 (J2ME/MIDP; Opera Mini/9)", True),
        (None, "no-cors", None, FIREFOX, True),
        (None, None, None, FIREFOX, False),
        (None, "cors", None, "node", False),
        (None, None, "https://shop.example", "GuzzleHttp/7", False),
        (None, None, None, "curl/8.5.0", False),
        (None, None, None, "", False),
    ],
)
def test_a_browser_is_told_by_its_headers(
    site: str | None, mode: str | None, origin: str | None, agent: str, *, browser: bool
) -> None:
    """A server that calls itself one, or sends a mode as Node does, is none."""
    assert is_browser(site, mode, origin, agent) is browser
