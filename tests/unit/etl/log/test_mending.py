"""Mending a sealed segment: what is valid is kept, what is lost is said, the series goes on."""

from contextlib import suppress
from pathlib import Path

import pytest
from log_tools import Killed, Shop, event, flip, killed_before

from etl import durable
from etl.lake.snapshot import held_whole
from etl.lake.store import LocalLake
from etl.log import mending, segments, verification
from etl.log.mending import Mended, MendRefused
from etl.upkeep import check

SERIES = "h-w0-aa"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "data")
    for number in range(3):
        shop.seal(*(event(10 * number + line) for line in range(4)))
    return shop


def mend(shop: Shop, number: int, series: str = SERIES) -> Mended:
    lake = LocalLake(shop.layout)
    return mending.run(shop.data, series, number, lambda: held_whole(lake.newest(), series))


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


MISDIRECTED = {
    "repeated": (18, lambda here, before, after: here[:3] + here[1:3] + here[3:]),
    "swapped": (15, lambda here, before, after: here[:1] + here[3:5] + here[1:3] + here[5:]),
    "from before": (17, lambda here, before, after: here[:2] + before[1:4] + here[2:]),
    "from after": (17, lambda here, before, after: here[:2] + after[1:4] + here[2:]),
}
"""The events that are left, and the lines of the second segment."""


@pytest.mark.parametrize("place", MISDIRECTED)
def test_lines_written_to_a_wrong_place_count_once(tmp_path, place):
    """The chain starts again behind damage, so copies of whole lines look valid there."""
    shop = Shop(tmp_path / "data")
    for number in range(3):
        shop.seal(*(event(10 * number + line) for line in range(6)))
    before, here, after = (
        item.path.read_bytes().splitlines(keepends=True) for item in shop.sealed()
    )
    left, lines = MISDIRECTED[place]
    shop.sealed()[1].path.write_bytes(b"".join(lines(here, before, after)))
    mend(shop, 2)
    kept = shop.event_ids()
    assert len(kept) == len(set(kept)) == left
    assert (shop.compact().stopped, shop.event_ids()) == ([], kept)


@pytest.mark.parametrize("lost", [1, 3])
def test_a_series_without_any_valid_line_can_be_mended(tmp_path, lost):
    """Nobody knows when its lines were received; the series goes on all the same."""
    shop = Shop(tmp_path / "data")
    for number in range(lost):
        shop.seal(event(number))
    shop.seal(event(99), series="h-w1-bb")
    for damaged in shop.sealed():
        damaged.path.write_bytes(b"\0" * 200)
    for number in range(1, lost + 1):
        assert mend(shop, number).lines == 0
    assert (shop.compact().stopped, shop.event_ids()) == ([], ["e99"])
    assert check.run(shop.data).ok


@pytest.mark.default_python
@pytest.mark.parametrize("names_reversed", [False, True])
@pytest.mark.parametrize("is_whole_lost", [False, True])
def test_a_mending_that_is_killed_can_be_run_again(
    shop, tmp_path, monkeypatch, is_whole_lost, names_reversed
):
    """Whatever step it had reached, and whichever of two files of one number is listed first."""
    names_in = segments.names_in
    monkeypatch.setattr(
        segments, "names_in", lambda folder: sorted(names_in(folder), reverse=names_reversed)
    )
    damaged = shop.sealed()[1].path
    flip(damaged, damaged.stat().st_size - 10)
    if is_whole_lost:
        damaged.write_bytes(b"\0" * 50)
    steps = [(durable, "write_file"), (Path, "replace"), (Path, "unlink"), (durable, "fsync_path")]
    step, ended = 0, False
    while not ended:
        step += 1
        copy = Shop(tmp_path / f"killed-{step}")
        shop.copy_to(copy)
        try:
            with killed_before(step, steps):
                mend(copy, 2)
                ended = True
        except Killed:
            with suppress(MendRefused):
                mend(copy, 2)
        assert [item.number for item in copy.sealed()] == [1, 2, 3]
        assert copy.compact().stopped == []
        assert len(copy.event_ids()) == (8 if is_whole_lost else 11)
        assert (copy.folder() / "000000000002.broken").stat().st_size in (50, 199)
    assert step > len(steps)


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
