"""Views that are used again: they show what a view that is opened now would show."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from log_tools import START, Shop, event, flip

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.lake.compaction import CompactionPlan
from etl.lake.errors import LakeError
from etl.lake.live import kept
from etl.lake.live.kept import KEPT_S, REUSED_S
from etl.lake.live.view import LiveView
from etl.lake.period import ALWAYS, Period
from etl.upkeep import erasure

HOUR = timedelta(hours=1)
MINE = Period(START - HOUR, START + HOUR)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three events of two shops."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0), event(1, tenant_id=2), event(2))
    return shop


@pytest.fixture
def view(shop: Shop) -> LiveView:
    """A view whose clock stands still, and whose names are never read again."""
    view = LiveView(shop.data)
    names = view.names()
    view.names = lambda: names  # type: ignore[method-assign]
    view._kept.clock = lambda: 0.0
    return view


def asked(
    view: LiveView, tenant: int | None = 1, period: Period = MINE, *, only_events: bool = False
) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """The connection that a question got, and the events that it saw."""
    names = view.names()
    with view.opened(tenant=tenant, names=names, period=period, only_events=only_events) as con:
        return con, events_of(con)


def events_of(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The events that a connection shows."""
    rows = con.execute("SELECT event_id FROM events ORDER BY received_at").fetchall()
    return [event_id for (event_id,) in rows]


def copies(view: LiveView) -> int:
    """The number of copies of rows that the view's DuckDB holds."""
    with view._instance.cursor() as con:
        tables = con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return sum(name.startswith("copied_") for (name,) in tables)


def test_a_view_is_used_again_while_nothing_has_changed(view: LiveView) -> None:
    """By the next question, and by the one after it."""
    first, events = asked(view)
    assert events == ["e0", "e2"]
    assert [asked(view) for _ in range(3)] == [(first, events)] * 3


@pytest.mark.parametrize("tenant", [1, None])
def test_a_new_segment_is_seen_by_the_next_question(
    shop: Shop, view: LiveView, tenant: int | None
) -> None:
    """Also by one that would have used copied rows."""
    before = [asked(view, tenant)[1] for _ in range(3)]
    shop.seal(event(3))
    assert [asked(view, tenant)[1] for _ in range(3)] == [[*events, "e3"] for events in before]


def test_a_view_of_an_older_version_is_not_used(shop: Shop, view: LiveView) -> None:
    """A compaction and a deletion of segments change no number, and no view outlives its files."""
    seen = asked(view)
    shop.compact()
    compacted = asked(view)
    shop.compact(CompactionPlan(segment_grace_s=0.0), after_s=60.0)
    deleted = asked(view)
    assert [events for _, events in (seen, compacted, deleted)] == [["e0", "e2"]] * 3
    assert len({id(con) for con, _ in (seen, compacted, deleted)}) == 3


@pytest.mark.parametrize("is_compacted", [False, True])
def test_an_erased_visitor_is_in_no_answer(
    shop: Shop, view: LiveView, *, is_compacted: bool
) -> None:
    """Neither from the log nor from the lake, whatever was copied before."""
    shop.seal(event(3, visitor_id="0123456789abcdef"))
    if is_compacted:
        shop.compact()
    assert [asked(view)[1] for _ in range(3)] == [["e0", "e2", "e3"]] * 3
    subject = erasure.Subject(visitor_id="0123456789abcdef")
    erasure.run(shop.data, subject, CompactionPlan(), START.timestamp(), seal_timeout_s=0.1)
    assert [asked(view)[1] for _ in range(3)] == [["e0", "e2"]] * 3


def test_no_question_sees_the_rows_of_another_tenant(view: LiveView) -> None:
    """Nor of all, whatever was asked before."""
    tenants: Sequence[int | None] = (1, None, 2, 1, None, 2, 1)
    expected = {1: ["e0", "e2"], 2: ["e1"], None: ["e0", "e1", "e2"]}
    for tenant in tenants:
        assert asked(view, tenant)[1] == expected[tenant]


def test_copied_rows_answer_only_questions_about_their_period(shop: Shop, view: LiveView) -> None:
    """Another question reads the lake and the log, in the same view."""
    shop.seal(*(event(days * 86_400.0) for days in range(1, 50, 12)))
    con, _ = asked(view)
    asked(view)
    late = Period(START + timedelta(days=40))
    early = Period(None, START + HOUR)
    for period in (late, early, ALWAYS, MINE):
        again, events = asked(view, 1, period)
        assert again is con
        assert {"e0", "e2"} <= set(events) or period == late
        assert ("e4.2336e+06" in events) or period.until


@pytest.mark.parametrize(("limit", "most"), [("_ROWS_MAX", 1), ("_METADATA_BYTES_MAX", 19)])
def test_many_or_long_rows_are_not_copied(
    shop: Shop, view: LiveView, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """Their view is used again without a copy."""
    shop.seal(*(event(at_s, metadata={"a": "12"}) for at_s in (3, 4)))  # ten bytes each
    monkeypatch.setattr(kept, limit, most)
    con, events = asked(view)
    assert asked(view) == (con, events)
    assert copies(view) == 0


@pytest.mark.parametrize("tenant", [1, None])
def test_two_questions_at_the_same_time_have_a_view_each(
    view: LiveView, tenant: int | None
) -> None:
    """Once a question has waited for its turn."""
    view._kept.turn_s = 0.0
    with view.opened(tenant=tenant, names=view.names(), period=MINE) as first:
        second, events = asked(view, tenant)
        assert second is not first
        assert {"e0", "e2"} <= set(events)


@pytest.mark.parametrize(("tenant", "other"), [(1, 2), (1, None), (None, 1)])
def test_questions_about_the_same_tenants_take_turns(
    view: LiveView, tenant: int | None, other: int | None
) -> None:
    """So that they share a view; a question about others goes on meanwhile."""
    view._kept.turn_s = 1e6
    names = view.names()
    with ThreadPoolExecutor(3) as pool:
        with view.opened(tenant=tenant, names=names, period=MINE) as first:
            later = [pool.submit(asked, view, tenant) for _ in range(2)]
            assert pool.submit(asked, view, other).result(60)[1]
            assert not any(question.done() for question in later)
        assert [question.result(60)[0] for question in later] == [first] * 2


@pytest.fixture
def copied(view: LiveView) -> LiveView:
    """A view that has copied the rows of the shop 1; its questions would wait for ever."""
    view._kept.turn_s = 1e6
    for _ in range(2):
        asked(view)
    assert copies(view) == 1
    return view


def test_several_questions_read_copied_rows_at_a_time(copied: LiveView) -> None:
    """Each on a connection of its own, which later ones use again, with the names of the view."""
    names = copied.names()

    def opened() -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return copied.opened(tenant=1, names=names, period=MINE, only_events=True)

    with opened() as first, opened() as second:
        assert first is not second
        for con in (first, second):
            assert events_of(con) == ["e0", "e2"]
            assert con.execute("FROM tenants").fetchall() == []
            assert con.execute("SELECT version, tail_events FROM snapshot").fetchall() == [
                (None, 2)
            ]
            assert con.execute("FROM pinned_at").fetchall() == []
        assert asked(copied)[1] == ["e0", "e2"]
    assert [asked(copied, only_events=True)[0] in (first, second) for _ in range(3)] == [True] * 3


def test_a_reader_sees_the_rows_of_its_tenant_only(copied: LiveView) -> None:
    """Whichever tenants have copies."""
    for tenant, expected in ((2, ["e1"]), (1, ["e0", "e2"]), (3, [])) * 3:
        assert asked(copied, tenant, only_events=True)[1] == expected
    assert copies(copied) == 3


def test_a_question_goes_on_after_its_copy_was_deleted(shop: Shop, copied: LiveView) -> None:
    """It began before the new segment; the next question sees that. Then nothing is left over."""
    names = copied.names()
    with copied.opened(tenant=1, names=names, period=MINE, only_events=True) as con:
        shop.seal(event(3))
        assert asked(copied, only_events=True)[1] == ["e0", "e2", "e3"]
        assert copies(copied) == 0
        assert events_of(con) == ["e0", "e2"]
    with pytest.raises(duckdb.ConnectionException):
        con.execute("SELECT 1")


def test_a_reader_in_which_a_question_failed_is_closed(copied: LiveView) -> None:
    """The copy stays, and the next question reads it."""
    names = copied.names()
    with (
        pytest.raises(duckdb.CatalogException),
        copied.opened(tenant=1, names=names, period=MINE, only_events=True) as con,
    ):
        con.execute("FROM nothing")
    with pytest.raises(duckdb.ConnectionException):
        con.execute("SELECT 1")
    assert asked(copied, only_events=True)[1] == ["e0", "e2"]
    assert copies(copied) == 1


def test_a_reader_that_cannot_begin_is_an_error_of_the_lake(copied: LiveView) -> None:
    """Which a client is told to ask again; the next question opens a view."""
    (kept_view,) = copied._kept._idle
    assert kept_view._copy is not None

    def fail() -> duckdb.DuckDBPyConnection:
        raise duckdb.OutOfMemoryException("no memory")

    kept_view._copy.cursor = fail
    with pytest.raises(LakeError, match="ask again: no memory"):
        asked(copied, only_events=True)
    assert copies(copied) == 0
    assert asked(copied)[1] == ["e0", "e2"]


def test_a_question_beyond_the_copied_rows_reads_the_view(shop: Shop, copied: LiveView) -> None:
    """As one about an earlier time does."""
    early = Period(MINE.since and MINE.since - timedelta(days=40), MINE.until)
    main = asked(copied)[0]
    assert asked(copied, 1, early, only_events=True) == (main, ["e0", "e2"])
    assert asked(copied, 1, MINE, only_events=True)[0] is not main


def test_no_copy_outlives_its_view(copied: LiveView) -> None:
    """Neither a view that nobody uses nor one in which a question failed leaves rows behind."""
    copied._kept.clock = lambda: 2 * KEPT_S
    copied._kept.expire()
    assert copies(copied) == 0
    copied._kept.clock = lambda: 0.0
    for _ in range(2):
        asked(copied)
    assert copies(copied) == 1
    names = copied.names()
    with (
        pytest.raises(duckdb.CatalogException),
        copied.opened(tenant=1, names=names, period=MINE) as con,
    ):
        con.execute("FROM nothing")
    assert copies(copied) == 0


def test_nobody_waits_for_a_question_that_takes_long(view: LiveView) -> None:
    """Each of the others would wait anew, and hold a thread meanwhile."""
    view._kept.turn_s = 1e6
    with view.opened(tenant=1, names=view.names(), period=MINE) as first:
        view._kept.clock = lambda: 1e6
        assert asked(view)[0] is not first


def test_few_views_of_all_tenants_are_kept(view: LiveView) -> None:
    """Each holds a copy of the whole tail."""
    view._kept.turn_s = 0.0
    names = view.names()
    with ExitStack() as at_once:
        for _ in range(4):
            at_once.enter_context(view.opened(tenant=None, names=names, period=MINE))
    assert len(view._kept._idle) == kept._WHOLE_MAX


def test_a_view_in_which_a_question_failed_is_closed(view: LiveView) -> None:
    """The next question opens one."""
    names = view.names()
    with (
        pytest.raises(duckdb.CatalogException),
        view.opened(tenant=1, names=names, period=MINE) as con,
    ):
        con.execute("FROM nothing")
    with pytest.raises(duckdb.ConnectionException):
        con.execute("SELECT 1")
    assert asked(view)[1] == ["e0", "e2"]


def test_a_view_that_cannot_be_used_any_more_is_opened_again(view: LiveView) -> None:
    """Such as one of an instance that DuckDB has given up."""
    con, events = asked(view)
    con.close()
    assert asked(view)[1] == events


def test_a_view_that_nobody_uses_is_closed(view: LiveView) -> None:
    """It is not kept for longer, so that an idle process holds no rows."""
    con, _ = asked(view)
    view._kept.clock = lambda: 2 * KEPT_S
    view.ahead.run(new_bytes_min=1 << 40)
    with pytest.raises(duckdb.ConnectionException):
        con.execute("SELECT 1")


def test_a_view_that_is_always_in_use_is_opened_again_now_and_then(view: LiveView) -> None:
    """Else a shared lake takes the copies of its files for unused, and may delete them."""
    connections = []
    for second in range(int(REUSED_S) + 2):
        view._kept.clock = lambda now_s=float(second): now_s
        connections.append(asked(view)[0])
    assert connections.count(connections[0]) == int(REUSED_S) + 1
    assert connections[-1] is not connections[0]


def test_a_bounded_number_of_views_is_kept(view: LiveView) -> None:
    """Of many shops that ask, those that asked last."""
    connections = [asked(view, tenant)[0] for tenant in range(1, 12)]
    assert len(view._kept._idle) == kept._VIEWS_MAX
    assert asked(view, 11)[0] is connections[-1]
    with pytest.raises(duckdb.ConnectionException):
        connections[0].execute("SELECT 1")


def test_new_names_need_a_new_view(shop: Shop) -> None:
    """A name that was changed is shown as soon as it was read."""
    directory = DirectoryDatabase(shop.layout.directory_url)
    shop.layout.prepare()
    directory.create_tables()
    view = LiveView(shop.data, directory)
    for name in ("La Colmena", "La Abeja"):
        directory.upsert([Tenant(1, None, "la-colmena", name, "active")], [])
        fresh = LiveView(shop.data, directory).names()
        for _ in range(3):
            with view.opened(tenant=1, names=fresh, period=MINE) as con:
                assert con.execute("SELECT name FROM tenants").fetchall() == [(name,)]


def test_a_view_of_a_stopped_series_is_not_kept(shop: Shop, view: LiveView) -> None:
    """A damaged segment that is restored has the same name, so nothing else would tell."""
    damaged = shop.seal(event(3))
    flip(damaged.path, 20)
    assert asked(view)[1] == ["e0", "e2"]
    flip(damaged.path, 20)
    assert asked(view)[1] == ["e0", "e2", "e3"]


def test_a_pinned_version_is_not_kept(shop: Shop, view: LiveView) -> None:
    """It has a connection of its own."""
    shop.compact()
    view.connect(version=1, tenant=1).close()
    assert not view._kept._idle


def test_an_error_of_the_log_is_an_error_of_the_question(
    view: LiveView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept view does not hide that the lake cannot be read."""
    asked(view)

    def fails(*_: object) -> bool:
        raise LakeError("no lake")

    monkeypatch.setattr(type(view.lake), "newest", fails)
    with pytest.raises(LakeError):
        asked(view)


def test_a_view_ends_with_its_last_user(shop: Shop) -> None:
    """At once: it holds memory, and files of the data folder."""
    gc.disable()
    try:
        view = LiveView(shop.data)
        asked(view)
        ended = weakref.ref(view)
        del view
        assert ended() is None
    finally:
        gc.enable()
