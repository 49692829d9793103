"""Which lines a pass takes: all before one moment, about as many as the budget allows."""

import pytest
from log_tools import START, Shop, event

from etl.lake import selection
from etl.lake.selection import UNBOUNDED_US, PassLimits, Selection, Watermarks
from etl.log import backlog, segments

START_US = round(START.timestamp() * 1_000_000)
A, B = "h-w0-aa", "h-w1-bb"
NONE = {A: Watermarks(0, 0), B: Watermarks(0, 0)}


@pytest.fixture
def shop(tmp_path) -> Shop:
    """Two series: A at 0, 2, 4 s and 6, 8 s; B at 1, 3 s."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0), event(2), event(4), series=A)
    shop.seal(event(6), event(8), series=A)
    shop.seal(event(1), event(3), series=B)
    return shop


def choose(
    shop: Shop, *, before_s: float | None = None, bytes_max: int = 1 << 20, marks=None
) -> Selection:
    sealed = segments.sealed_everywhere(shop.layout.log)
    before_us = UNBOUNDED_US if before_s is None else START_US + round(before_s * 1_000_000)
    limits = PassLimits(before_us, bytes_max)
    return selection.choose(sealed, marks or NONE, backlog.Verified(), limits)


def taken(chosen: Selection) -> dict[tuple[str, int], tuple[int, int] | None]:
    """Return the ordinals that are taken of each segment, above and up to; None for all."""
    parts = {one: (part.above, part.upto) for one, part in chosen.parts.items()}
    return {(one.series, one.number): parts.get(one) for one in chosen.segments}


def test_without_a_bound_everything_is_taken_whole(shop):
    """A segment that is taken whole needs no part."""
    chosen = choose(shop)
    assert taken(chosen) == {(A, 1): None, (A, 2): None, (B, 1): None}
    assert chosen.reached == {A: Watermarks(2, 5), B: Watermarks(1, 2)}
    assert chosen.completed == 3


def test_a_segment_is_cut_at_the_safe_time(shop):
    """A line received exactly then is not taken."""
    chosen = choose(shop, before_s=4)
    assert taken(chosen) == {(A, 1): (0, 2), (B, 1): None}
    assert chosen.reached == {A: Watermarks(0, 2), B: Watermarks(1, 2)}
    assert chosen.completed == 1


def test_what_is_held_already_is_passed_over(shop):
    """From the middle of a segment on."""
    chosen = choose(shop, before_s=7, marks={A: Watermarks(0, 2), B: Watermarks(1, 2)})
    assert taken(chosen) == {(A, 1): (2, 3), (A, 2): (2, 4)}
    assert chosen.reached == {A: Watermarks(1, 4)}
    assert chosen.completed == 1


def test_before_everything_nothing_is_taken(shop):
    """Not even looked at."""
    assert choose(shop, before_s=0) == Selection()


def test_a_budget_takes_the_first_received_of_all_series(shop):
    """By and by, each line once, in passes that all hold to one moment."""
    marks, passes, lines = dict(NONE), 0, 0
    while (chosen := choose(shop, bytes_max=400, marks=marks)).segments:
        marks |= chosen.reached
        passes += 1
        lines_now = sum(mark.seq for mark in marks.values())
        assert lines_now > lines
        lines = lines_now
        held = [0, 2, 4, 6, 8][: marks[A].seq] + [1, 3][: marks[B].seq]
        left = [0, 2, 4, 6, 8][marks[A].seq :] + [1, 3][marks[B].seq :]
        assert max(held) < min([*left, 99])
    assert marks == {A: Watermarks(2, 5), B: Watermarks(1, 2)}
    assert passes > 2


@pytest.mark.parametrize("bytes_max", [1, 100])
def test_a_budget_is_at_least_the_segment_that_was_received_first(shop, bytes_max):
    """However small it is, a backlog takes no more passes than it has segments."""
    marks, passes = dict(NONE), 0
    while (chosen := choose(shop, bytes_max=bytes_max, marks=marks)).segments:
        marks |= chosen.reached
        passes += 1
    assert marks == {A: Watermarks(2, 5), B: Watermarks(1, 2)}
    assert passes <= 3


def test_lines_of_one_receipt_are_taken_together(tmp_path):
    """However small the budget is: which of them is first is told by more than the receipt."""
    shop = Shop(tmp_path / "data")
    for number in range(4):
        shop.seal(event(1), event(1), event(2), series=f"h-w{number}-aa")
    marks = {f"h-w{number}-aa": Watermarks(0, 0) for number in range(4)}
    chosen = choose(shop, bytes_max=1, marks=marks)
    assert chosen.reached == dict.fromkeys(marks, Watermarks(0, 2))


def test_a_series_whose_receipts_go_back_is_taken_in_its_order(tmp_path):
    """No clock of ours gives that; no line of it may be lost all the same."""
    shop = Shop(tmp_path / "data")
    for after_s in (5, 1, 7):
        shop.seal(event(after_s), series=A)
    marks, taken_ = {A: Watermarks(0, 0)}, []
    while (chosen := choose(shop, bytes_max=1, marks=marks)).segments:
        taken_ += [one.number for one in chosen.segments]
        marks |= chosen.reached
    assert taken_ == [1, 2, 3]


def test_what_a_clock_that_was_set_back_has_stamped_is_taken_at_once(shop):
    """Of series that nobody writes; else it would wait until that time comes."""
    sealed = segments.sealed_everywhere(shop.layout.log)
    limits = PassLimits(START_US + 2_000_000, 1 << 20, frozenset({A}), START_US + 3_000_000)
    chosen = selection.choose(sealed, NONE, backlog.Verified(), limits)
    assert chosen.reached == {A: Watermarks(2, 5), B: Watermarks(0, 1)}
