"""Reading ahead: the next question finds the tail parsed and the sales of new files read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from log_tools import Shop, event, ids

from etl.lake import superseded
from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.lake.snapshot import Snapshot


class Parsed(Exception):
    """Log lines were parsed."""


def refuse() -> duckdb.DuckDBPyConnection:
    raise Parsed


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture
def view(shop: Shop) -> LiveView:
    return LiveView(shop.data)


def test_a_question_parses_nothing_that_was_read_ahead(shop: Shop, view: LiveView) -> None:
    """Until a new segment is sealed."""
    shop.seal(event(0), event(1, tenant_id=2))
    view.ahead.run(new_bytes_min=1)
    parser, view._tail.parser = view._tail.parser, refuse
    assert ids(view) == ["e0", "e1"]
    assert ids(view, 2) == ["e1"]
    shop.seal(event(2))
    with pytest.raises(Parsed):
        ids(view)
    view._tail.parser = parser
    view.ahead.run(new_bytes_min=1)
    view._tail.parser = refuse
    assert ids(view) == ["e0", "e1", "e2"]


def test_a_little_is_left_to_the_question(shop: Shop, view: LiveView) -> None:
    """And so are segments that it has seen, whatever became of them."""
    size_bytes = shop.seal(event(0)).path.stat().st_size
    parser, view._tail.parser = view._tail.parser, refuse
    view.ahead.run(new_bytes_min=size_bytes + 1)
    with pytest.raises(Parsed):
        view.ahead.run(new_bytes_min=size_bytes)
    view.ahead.run(new_bytes_min=1)
    view._tail.parser = parser
    assert ids(view) == ["e0"]


def test_the_sales_of_new_files_are_read_ahead(
    shop: Shop, view: LiveView, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = {"transaction_id": "X", "endpoint": "conversion", "type": "purchase"}
    shop.seal(
        event(0, **sale, dedupe_key="tx:X"), event(1, **sale, dedupe_key="stx:X", signed=True)
    )
    shop.compact()
    view.ahead.run(new_bytes_min=0)

    def read_nothing(_: Snapshot, files: Sequence[str]) -> str:
        raise AssertionError(files)

    monkeypatch.setattr(Snapshot, "stored_relation", read_nothing)
    assert ids(view) == ids(view, 1) == ["e1"]


def test_a_deleted_segment_is_no_failure(
    shop: Shop, view: LiveView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the lake by then."""
    segment = shop.seal(event(0))
    load = Snapshot.load

    def compacted_before(*arguments: object) -> Snapshot:
        segment.path.unlink(missing_ok=True)
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Snapshot, "load", compacted_before)
    view.ahead.run(new_bytes_min=0)


def test_a_failure_is_an_error_of_the_lake(
    shop: Shop, view: LiveView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of DuckDB, and of a data folder that a newer version wrote."""
    shop.seal(event(0))

    def exhaust(*_: object) -> None:
        raise duckdb.OutOfMemoryException("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(superseded, "_files_of", exhaust)
        with pytest.raises(LakeError, match="no memory"):
            view.ahead.run(new_bytes_min=0)
    shop.layout.format_file.write_text('{"format": 999}')
    with pytest.raises(LakeError, match="999"):
        view.ahead.run(new_bytes_min=0)


def test_compacted_segments_are_forgotten_though_nobody_asks(shop: Shop, view: LiveView) -> None:
    """Or a warehouse that runs for weeks would remember every segment."""
    first = shop.seal(event(0))
    view.ahead.run(new_bytes_min=1)
    first.path.unlink()
    second = shop.seal(event(1))
    view.ahead.run(new_bytes_min=1)
    assert view.ahead.verified._intact <= {second}
