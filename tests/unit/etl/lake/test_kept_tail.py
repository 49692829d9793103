"""The kept part of the tail: it never hides a line, shows one twice, or shows a replaced one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from log_tools import Shop, event, ids
from watched_connection import Watched

from etl.lake import duck
from etl.lake.compaction import CompactionPlan
from etl.lake.errors import LakeError
from etl.lake.live.tail import Tail
from etl.lake.live.view import LiveView
from etl.log import rewriting, segments, verification
from etl.log.format import Line


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def erase_first_line(segment: segments.Sealed) -> None:
    """Write the segment again, as an erasure does."""
    entries = rewriting.entries(
        item for item in verification.scan(segment) if isinstance(item, Line)
    )
    erased = entries[0]._replace(payload=rewriting.erased("2026-11-23T04:10:00.000000Z"))
    rewriting.write_sealed(segment.path.parent, segment.number, [erased, *entries[1:]])
    segment.path.unlink()


@pytest.mark.parametrize("later", [(), ("e9",)])
def test_a_replaced_segment_takes_the_place_of_the_kept_one(
    shop: Shop, later: tuple[str, ...]
) -> None:
    """An erasure or a mending writes a segment again under its number."""
    shop.seal(event(0), event(1))
    second = shop.seal(event(2), event(3))
    view = LiveView(shop.data)
    assert ids(view) == ["e0", "e1", "e2", "e3"]
    erase_first_line(second)
    for _ in later:
        shop.seal(event(9))
    assert ids(view) == ["e0", "e1", "e3", *later]
    assert ids(view) == ids(LiveView(shop.data))


@contextmanager
def exhausted_at(statement: str, view: LiveView, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let the memory be exhausted once, at a statement that begins so."""
    failed: list[str] = []

    def exhaust(sql: str) -> None:
        if sql.startswith(statement) and not failed:
            failed.append(sql)
            raise duckdb.OutOfMemoryException(sql)

    cursor = view._instance.cursor
    with patch.context() as within:
        within.setattr(view._instance, "cursor", lambda: Watched(cursor(), exhaust))
        yield failed


@pytest.mark.parametrize("statement", ["CREATE OR REPLACE TABLE tail_", "DROP TABLE tail_"])
def test_a_failure_while_kept_lines_move_loses_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """Only the question that met it fails."""
    view = LiveView(shop.data)
    for second in range(4):
        shop.seal(event(second))
    assert len(ids(view)) == 4
    shop.compact(CompactionPlan(segment_grace_s=0.0), after_s=60.0)
    shop.seal(event(4))
    with exhausted_at(statement, view, monkeypatch) as failed:
        with pytest.raises(LakeError):
            view.connect()
        assert failed
    assert ids(view) == ["e0", "e1", "e2", "e3", "e4"]
    assert ids(view) == ["e0", "e1", "e2", "e3", "e4"]


def test_compacted_segments_make_room_for_new_ones(shop: Shop) -> None:
    """A new segment is not parsed for every question while the table holds lines of no use."""
    sealed = [shop.seal(event(second)) for second in range(4)]
    opened: list[duckdb.DuckDBPyConnection] = []

    def parser() -> duckdb.DuckDBPyConnection:
        opened.append(duck.connect(None, memory_bytes_max=1 << 28, threads_max=1))
        return opened[-1]

    tail = Tail(parser, sum(item.path.stat().st_size for item in sealed[:3]))
    with parser() as con:
        for wanted in (sealed[:3], sealed[1:], sealed[1:]):
            opened.clear()
            tail.stage(con, wanted, None)
            rows = con.execute("SELECT event_id FROM lines ORDER BY ALL").fetchall()
            assert len(rows) == 3
        assert not opened
