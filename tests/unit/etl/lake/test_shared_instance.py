"""The connections of a view share one DuckDB instance, and still do not affect one another."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
from log_tools import Shop, event, rejection
from watched_connection import Watched

from etl.directory.entries import DirectoryUnavailable
from etl.lake import duck
from etl.lake.compaction import CompactionPlan
from etl.lake.errors import LakeError
from etl.lake.live.instance import Instance
from etl.lake.live.view import LiveView, ViewLimits

NO_GRACE = CompactionPlan(segment_grace_s=0.0)
LATER_S = 60.0
COUNTS = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM duplicates)"
ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range > b.range"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def counts(con: duckdb.DuckDBPyConnection) -> object:
    return con.execute(COUNTS).fetchone()


def compact_and_delete(shop: Shop) -> None:
    shop.compact(NO_GRACE, after_s=LATER_S)


def test_each_connection_shows_its_own_moment(shop: Shop) -> None:
    """Only the later ones see lines that are sealed, compacted and deleted between them."""
    view = LiveView(shop.data)
    connections = []
    for second in range(4):
        shop.seal(event(second), event(second, dedupe_key="id:a"))
        if second == 2:
            compact_and_delete(shop)
        connections.append(view.connect())
    assert [counts(con) for con in connections] == [(2, 0), (3, 1), (4, 2), (5, 3)]
    for con in connections:
        con.close()


def test_an_interrupted_query_leaves_the_others_alone(shop: Shop) -> None:
    """Only the query of the connection that is interrupted ends."""
    shop.seal(event(0))
    view = LiveView(shop.data)
    with view.connect() as interrupted, view.connect() as other:
        errors: list[Exception] = []
        begun = threading.Event()

        def endless() -> None:
            begun.set()
            try:
                interrupted.execute(ENDLESS)
            except duckdb.Error as error:
                errors.append(error)

        thread = threading.Thread(target=endless)
        thread.start()
        begun.wait(60)
        while thread.is_alive():
            interrupted.interrupt()
            assert counts(other) == (1, 0)
            thread.join(0.01)
        assert [type(error) for error in errors] == [duckdb.InterruptException]
        assert counts(interrupted) == counts(other) == (1, 0)


def test_a_table_of_lines_stays_while_it_is_copied(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection drops it, once its segments are compacted, before the copy has begun."""
    shop.seal(event(0), event(1))
    view = LiveView(shop.data)
    view.connect().close()
    transactions: list[str] = []
    copying = "CREATE OR REPLACE TEMP TABLE lines AS FROM "

    def overtake(sql: str) -> None:
        """Let another connection be opened when this one has chosen its table."""
        if sql.startswith(copying) and not transactions:
            transactions.append(sql)
            compact_and_delete(shop)
            shop.seal(event(2))
            with view.connect() as other:
                assert counts(other) == (3, 0)
                tables = other.execute("SELECT table_name FROM duckdb_tables()").fetchall()
                assert sql.removeprefix(copying).split()[0] not in [name for (name,) in tables]

    cursor = view._instance.cursor
    with monkeypatch.context() as patch:
        patch.setattr(view._instance, "cursor", lambda: patch.undo() or Watched(cursor(), overtake))
        con = view.connect()
    assert transactions
    assert counts(con) == (2, 0)
    con.close()


def test_many_questions_at_once_while_the_log_moves(shop: Shop) -> None:
    """Threads ask, segments are sealed, compacted and deleted: every count is one moment's."""
    view = LiveView(shop.data, limits=ViewLimits(tail_bytes_max=2_000))
    finished = threading.Event()
    seen: list[tuple[int, int]] = []

    def ask() -> None:
        while not finished.is_set():
            with view.connect() as con:
                seen.append(con.execute(COUNTS).fetchone())  # type: ignore[arg-type]

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for second in range(12):
        shop.seal(event(second), event(second, dedupe_key="id:a"))
        if second % 3 == 2:
            compact_and_delete(shop)
    finished.set()
    for thread in threads:
        thread.join()
    assert {(events - duplicates) for events, duplicates in seen} <= {0, 2}
    with view.connect() as con:
        assert counts(con) == (13, 11)


def test_a_connection_of_one_tenant_counts_as_all_connections_do(shop: Shop) -> None:
    """Its events and duplicates are that tenant's, in the lake and in the tail."""
    view = LiveView(shop.data)
    for second in range(3):
        shop.seal(
            *(
                event(second, tenant_id=tenant, event_id=f"{tenant}-{second}", dedupe_key="id:a")
                for tenant in (1, 2)
            ),
            event(second, tenant_id=2),
            rejection(second),
        )
        if second < 2:
            compact_and_delete(shop)
        rows = "SELECT event_id FROM events WHERE tenant_id = {} ORDER BY ALL"
        with view.connect() as whole:
            expected = {tenant: whole.execute(rows.format(tenant)).fetchall() for tenant in (1, 2)}
        for tenant in (1, 2, 3):
            with view.connect(tenant=tenant) as con:
                found = con.execute("SELECT event_id FROM events ORDER BY ALL").fetchall()
                assert found == expected.get(tenant, [])
                duplicates = con.execute("SELECT count(*) FROM duplicates").fetchone()
                assert duplicates == ((second if tenant < 3 else 0),)
                assert con.execute("SELECT count(*) FROM rejected").fetchone() == (second + 1,)


def test_memory_does_not_grow_with_questions(shop: Shop) -> None:
    """The memory of a connection is free once it is closed."""
    shop.seal(*(event(second, metadata={"text": "x" * 500}) for second in range(2_000)))
    view = LiveView(shop.data)

    def used_bytes() -> int:
        with view.connect() as con:
            con.execute("SELECT list(metadata) FROM events").fetchall()
        with view.connect(tenant=0) as con:
            rows = con.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()
        return int(rows[0][0])

    first = [used_bytes() for _ in range(5)]
    later = [used_bytes() for _ in range(20)]
    assert max(later) <= max(first)


def test_a_locked_view_reads_the_log_but_its_connections_do_not(shop: Shop) -> None:
    """Also a segment that is sealed after the lock; and nobody unlocks it."""
    view = LiveView(shop.data)
    shop.seal(event(0))
    view.connect().close()
    view.lock_down()
    shop.seal(event(1))
    view.lock_down()
    with view.connect() as con:
        assert counts(con) == (2, 0)
        with pytest.raises(duckdb.PermissionException):
            con.execute(f"FROM read_text('{shop.sealed()[0].path}')")
        with pytest.raises(duckdb.Error):
            con.execute("SET lock_configuration = false")


def test_a_directory_that_cannot_be_read_leaves_no_connection_open(shop: Shop) -> None:
    """The names are read before the connection is opened."""

    class Unavailable:
        def state(self, _: float) -> None:
            """It proves nothing."""

        def exists(self) -> bool:
            raise DirectoryUnavailable("no database")

    view = LiveView(shop.data, Unavailable())  # type: ignore[arg-type]
    with pytest.raises(DirectoryUnavailable):
        view.connect()
    assert view._instance._root is None


def test_an_instance_that_failed_is_replaced(shop: Shop) -> None:
    """After an internal error DuckDB refuses every query; the next connection is of a new one."""

    opened: list[Any] = []

    def connect() -> Any:
        opened.append(duck.connect(None, memory_bytes_max=64 << 20, threads_max=1))
        return opened[-1]

    instance = Instance(connect)
    instance.lock_down(shop.data)
    instance.cursor().close()
    instance.cursor().close()
    assert len(opened) == 1
    instance._root = Broken()  # type: ignore[assignment]
    with instance.cursor() as con, pytest.raises(duckdb.Error):
        con.execute("SET threads = 2")
    assert len(opened) == 2


class Broken:
    """A connection after an internal error of DuckDB."""

    def execute(self, sql: str) -> None:
        raise duckdb.FatalException(sql)


def test_a_view_that_failed_before_its_lock_is_locked_all_the_same(shop: Shop) -> None:
    """The lock waits for the instance that takes the place of the failed one."""
    shop.seal(event(0))
    view = LiveView(shop.data)
    view.connect().close()
    view._instance._root = Broken()  # type: ignore[assignment]
    view.lock_down()
    with view.connect() as con:
        assert counts(con) == (1, 0)
        with pytest.raises(duckdb.PermissionException):
            con.execute(f"FROM read_text('{shop.sealed()[0].path}')")


def test_an_instance_that_cannot_be_locked_is_not_used(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure in the middle of the lock leaves no connection that reads other files."""
    shop.seal(event(0))
    view = LiveView(shop.data)
    view.lock_down()

    def failing(con: object, folder: Path) -> None:
        raise duckdb.OutOfMemoryException("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(duck, "lock_down", failing)
        with pytest.raises(LakeError):
            view.connect()
    with view.connect() as con, pytest.raises(duckdb.PermissionException):
        con.execute(f"FROM read_text('{shop.sealed()[0].path}')")


def test_the_successor_of_a_failed_instance_keeps_the_tail_anew(shop: Shop) -> None:
    """The lines that the failed one kept are read from the log again."""
    shop.seal(event(0))
    shop.seal(event(1))
    view = LiveView(shop.data)
    view.connect().close()
    view._instance._root = Broken()  # type: ignore[assignment]
    shop.seal(event(2))
    with view.connect() as con:
        assert counts(con) == (3, 0)
