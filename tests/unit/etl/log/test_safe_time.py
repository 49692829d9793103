"""The safe time, and the sealed segments that go with it."""

from pathlib import Path

import pytest
from log_tools import Shop, event
from series_tools import SERIES, left_open, settle, us_at

from etl.log import closed


@pytest.fixture
def shop(tmp_path) -> Shop:
    shop = Shop(tmp_path / "data")
    shop.folder(SERIES)
    return shop


def test_where_nobody_writes_everything_sealed_is_settled(shop):
    """Orphans are recovered first."""
    shop.seal(event(0), series="h-w1-aa")
    left_open(shop, 2)
    settled = settle(shop)
    assert (settled.before_us, settled.recovered) == (None, 1)
    assert {name: len(listed) for name, listed in settled.sealed.items()} == {
        SERIES: 1,
        "h-w1-aa": 1,
    }


def test_the_smallest_promise_of_a_writer_bounds_what_is_settled(shop):
    """Those of series that nobody writes do not count."""
    closed.publish(shop.folder("h-w3-aa"), us_at(0))
    with shop.written("h-w0-aa", closed_s=7), shop.written("h-w1-aa", closed_s=5):
        settled = settle(shop)
    assert (settled.before_us, settled.waits_for) == (us_at(5), "h-w1-aa")


def test_segments_are_listed_after_the_promises_are_read(shop, monkeypatch):
    """Lines below a closed timestamp may be sealed the moment before it is published."""
    read = closed.read

    def sealed_just_before(folder: Path) -> int | None:
        writer.seal()
        closed.publish(folder, us_at(2))
        return read(folder)

    writer = shop.writer()
    writer.commit([event(1)])
    monkeypatch.setattr(closed, "read", sealed_just_before)
    with shop.written(closed_s=1):
        settled = settle(shop)
    assert settled.before_us == us_at(2)
    assert [item.number for item in settled.sealed[SERIES]] == [1]


@pytest.mark.parametrize("content", [None, b"", b"torn"])
def test_a_writer_without_a_promise_that_can_be_read_lets_nothing_pass(shop, content):
    """Such as one of a version that makes none."""
    with shop.written():
        path = shop.folder() / closed.NAME
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert settle(shop).before_us == 0
