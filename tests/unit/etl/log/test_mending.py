"""Mending a sealed segment: what is valid is kept, what is lost is said, the series goes on."""

from pathlib import Path

import pytest
from log_tools import Shop, event, flip

from etl.lake import snapshot
from etl.log import mending, verification
from etl.log.mending import Mended, MendRefused

SERIES = "h-w0-aa"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "data")
    for number in range(3):
        shop.seal(*(event(10 * number + line) for line in range(4)))
    return shop


def mend(shop: Shop, number: int, series: str = SERIES) -> Mended:
    return mending.run(
        shop.data, series, number, lambda: snapshot.compacted_to(shop.layout, series)
    )


def test_the_valid_lines_of_a_damaged_segment_are_kept(shop):
    """One line is lost, its bytes are kept, and the series is compacted to its end."""
    damaged = shop.sealed()[1]
    data = damaged.path.read_bytes()
    second_line = data.index(b"\n") + 1
    flip(damaged.path, second_line + 60)
    assert [item.segment for item in shop.compact().stopped] == [2]
    mended = mend(shop, 2)
    assert (mended.lines, mended.was_missing) == (3, False)
    broken = (shop.folder() / "000000000002.broken").read_bytes()
    assert len(broken) == mended.broken_bytes == len(data.splitlines(keepends=True)[1])
    outcome = shop.compact()
    assert (outcome.stopped, outcome.rows) == ([], 7)
    assert len(shop.event_ids()) == 11


def test_a_missing_segment_is_replaced_by_an_empty_one(shop):
    """Its lines are lost; the ones behind it are read."""
    shop.sealed()[1].path.unlink()
    assert [item.segment for item in shop.compact().stopped] == [2]
    assert mend(shop, 2).was_missing
    assert shop.compact().stopped == []
    assert len(shop.event_ids()) == 8


def test_a_segment_without_a_valid_line_is_replaced_too(shop):
    """All of its bytes are kept aside."""
    damaged = shop.sealed()[0]
    size = damaged.path.stat().st_size
    damaged.path.write_bytes(b"\0" * size)
    assert mend(shop, 1).broken_bytes == size
    assert len(shop.event_ids()) == 8


@pytest.mark.parametrize("place", ["between", "behind"])
def test_damage_beside_whole_lines_costs_no_line(shop, place):
    """The mended segment has the name that the damaged one had, and stays."""
    path = shop.sealed()[1].path
    data = path.read_bytes()
    cut = len(data) if place == "behind" else data.index(b"\n") + 1
    path.write_bytes(data[:cut] + b"\0\0garbage\n" + data[cut:])
    assert mend(shop, 2).lines == 4
    assert path.read_bytes() == data
    assert len(shop.event_ids()) == 12


def test_the_last_segment_of_a_series_is_replaced_too(shop):
    """Nothing comes after it: it follows the segment before it."""
    newest = shop.sealed()[-1]
    newest.path.write_bytes(b"\0" * newest.path.stat().st_size)
    assert mend(shop, 3).lines == 0
    assert shop.compact().stopped == []
    assert len(shop.event_ids()) == 8
    shop.seal(event(99))
    assert shop.compact().stopped == []


def test_two_lost_segments_at_the_end_are_mended_in_order(shop):
    """The first follows the segment before it, because the second shows no line."""
    for damaged in shop.sealed()[1:]:
        damaged.path.write_bytes(b"")
    with pytest.raises(MendRefused, match="mend one of them first"):
        mend(shop, 3)
    mend(shop, 2)
    mend(shop, 3)
    assert shop.compact().stopped == []
    assert len(shop.event_ids()) == 4


def test_a_deleted_segment_is_not_missing(shop):
    """A segment that the lake holds needs no replacement once its file is gone."""
    shop.compact()
    shop.sealed()[0].path.unlink()
    with pytest.raises(MendRefused, match="in the lake"):
        mend(shop, 1)
    assert len(shop.sealed()) == 2


def test_it_may_be_run_again(shop):
    """The second time there is nothing to do."""
    flip(shop.sealed()[1].path, 60)
    mend(shop, 2)
    with pytest.raises(MendRefused, match="is whole"):
        mend(shop, 2)


@pytest.mark.parametrize(("series", "number"), [(SERIES, 1), (SERIES, 4), ("nobody", 1)])
def test_what_needs_no_mending_is_refused(shop, series, number):
    """A whole segment, one that was never written, a series that is not there."""
    with pytest.raises(MendRefused):
        mend(shop, number, series)


def test_the_series_goes_on_behind_a_mended_end(shop):
    """The newest segment: numbers and ordinals follow."""
    newest = shop.sealed()[-1]
    flip(newest.path, newest.path.stat().st_size - 10)
    mend(shop, 3)
    assert verification.position_after(shop.sealed()[-1]) is not None
    shop.seal(event(99))
    assert shop.compact().stopped == []
