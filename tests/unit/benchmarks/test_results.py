"""A report is read back as it was written, and a row moves only beyond the noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import results
from benchmarks.figures import Figure
from benchmarks.rounds import CALIBRATION, Measured, Result, interleaved, markdown


def report(figure: Figure, calibration: Figure, *, row: str = "beaconlog") -> results.Report:
    """Return a report of one table."""
    table = markdown(
        ("", "validates", "events/s", "p99 ms"), [(row, "yes", figure.text(1), "14.3")]
    )
    text = f"# Measured\n\n{results.MACHINE}2 x Some CPU\n\n## Ingest\n\nOne event.\n\n{table}"
    return results.parse(f"{text}\n{CALIBRATION}{calibration.text(1)} (ms).\n")


STEADY = Figure(50.0, 0.0)


def test_a_report_is_read_back() -> None:
    """The machine, every cell, and the calibration."""
    read = report(Figure(21_170.5, 0.03), Figure(51.5, 0.04))
    section = read.sections["Ingest"]
    assert read.machine == "2 x Some CPU"
    assert section.cells[("beaconlog", "validates")] == "yes"
    assert section.cells[("beaconlog", "p99 ms")] == "14.3"
    assert section.figures() == {("beaconlog", "events/s"): Figure(21_170.5, 0.03)}
    assert section.calibration == Figure(51.5, 0.04)


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_a_figure_is_read_back(tenths: int, percent: int) -> None:
    """With its digits and its spread."""
    figure = Figure(tenths / 10, percent / 100)
    assert Figure.parse(figure.text(1)) == figure


@pytest.mark.parametrize("cell", ["", "yes", "14.3", "1,000", "3 %", "± 3 %", "fast ± 3 %"])
def test_another_cell_is_no_figure(cell: str) -> None:
    """Text, and numbers without a spread."""
    assert Figure.parse(cell) is None


def test_the_spread_is_half_of_the_range() -> None:
    """As a share of the median."""
    assert Figure.of([90.0, 100.0, 120.0]) == Figure(100.0, 0.15)


@pytest.mark.parametrize(
    ("before", "after", "is_moved"),
    [
        (Figure(100, 0.02), Figure(110, 0.03), True),
        (Figure(100, 0.02), Figure(90, 0.03), True),
        (Figure(100, 0.05), Figure(109, 0.05), False),
        (Figure(100, 0.0), Figure(102, 0.0), False),  # below the smallest noise
    ],
)
def test_a_figure_moves_by_more_than_the_spreads(
    before: Figure, after: Figure, *, is_moved: bool
) -> None:
    """Of both runs together."""
    moves = results.moved(report(before, STEADY), report(after, STEADY))
    assert [(move.before, move.after) for move in moves] == [(before, after)] * is_moved


@pytest.mark.parametrize("calibration", [Figure(60.0, 0.0), Figure(50.0, 0.2)])
def test_a_slower_or_noisier_machine_moves_nothing(calibration: Figure) -> None:
    """Its calibration tells."""
    before = report(Figure(100, 0.0), STEADY)
    assert results.moved(before, report(Figure(85, 0.0), calibration)) == []
    assert len(results.moved(before, report(Figure(70, 0.0), calibration))) == 1


def test_rows_and_tables_of_one_report_alone_do_not_move() -> None:
    """They are new, or gone."""
    before, after = report(Figure(1, 0.0), STEADY, row="old"), report(Figure(9, 0.0), STEADY)
    assert results.moved(before, after) == []
    assert results.moved(results.parse("# Measured\n"), after) == []


def test_a_move_says_what_moved_and_by_how_much() -> None:
    """In one line."""
    (move,) = results.moved(report(Figure(100, 0.02), STEADY), report(Figure(150, 0.03), STEADY))
    expected = "Ingest: beaconlog, events/s: 100 -> 150 (+50 %, noise 5 %)"
    assert move.text() == expected


def test_a_report_ends_with_its_moves() -> None:
    """One line each."""
    before, after = report(Figure(100, 0.0), STEADY), report(Figure(50, 0.0), STEADY)
    assert "- Ingest: beaconlog, events/s: 100 -> 50" in results.compare(before, after)
    assert "No figure moved" in results.compare(before, before)


@pytest.mark.parametrize("machine", ["", "4 x Another CPU"])
def test_reports_of_two_machines_are_not_compared(machine: str) -> None:
    """Whatever their figures are."""
    before = results.Report(machine, report(Figure(100, 0.0), STEADY).sections)
    text = results.compare(before, report(Figure(50, 0.0), STEADY))
    assert "Not compared" in text
    assert machine in text


def test_candidates_take_turns_and_the_warm_up_does_not_count() -> None:
    """Each round runs each candidate once."""
    calls: list[str] = []

    def candidate(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    measured = interleaved({name: lambda name=name: candidate(name) for name in "ab"}, 2)
    assert calls == ["a", "b"] * 3
    assert measured.results == {"a": Result("a", [3.0, 5.0]), "b": Result("b", [4.0, 6.0])}
    assert len(measured.calibration.rounds) == 2


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that is slow in a round is slow for both."""
    slow, fast = Result("slow", [10.0, 1.0, 5.0]), Result("fast", [20.0, 2.0, 10.0])
    assert slow.ratio_to(fast) == Figure(0.5, 0.0)
    assert Measured({}, Result("calibration", [50.0])).note() == "\nCalibration: 50.0 ± 0 % (ms).\n"
