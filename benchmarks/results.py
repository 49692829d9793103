"""A report of benchmarks, read back, and the rows that moved between two of them.

A report has a line `Machine: …`, and a section `## <title>` per table. A cell such as
`21,170 ± 3 %` is a figure that can be compared; the line `Calibration: …` below a table is the time
of the same calculation in every run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.figures import Figure
from benchmarks.rounds import CALIBRATION

MACHINE = "Machine: "
MOVED = "## Moved against the committed report"
NOISE_MIN = 0.03


@dataclass(slots=True)
class Section:
    """A table: its cells by row and column, and the calibration of its run."""

    cells: dict[tuple[str, str], str] = field(default_factory=dict)
    calibration: Figure | None = None

    def figures(self) -> dict[tuple[str, str], Figure]:
        """Return the cells that are figures."""
        parsed = {at: Figure.parse(cell) for at, cell in self.cells.items()}
        return {at: figure for at, figure in parsed.items() if figure}


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its machine (empty if it names none), and its sections by title."""

    machine: str
    sections: Mapping[str, Section]


@dataclass(frozen=True, slots=True)
class Move:
    """A figure that changed by more than the noise of both runs. `noise`: that noise, a share."""

    section: str
    row: str
    column: str
    before: Figure
    after: Figure
    noise: float

    def text(self) -> str:
        """Return one line."""
        change = 100 * (self.after.median / self.before.median - 1)
        return (
            f"{self.section}: {self.row or 'all'}, {self.column}: {self.before.median:,g} -> "
            f"{self.after.median:,g} ({change:+.0f} %, noise {100 * self.noise:.0f} %)"
        )


def parse(text: str) -> Report:
    """Return the report in a text of Markdown; a text of another form has no figures."""
    machine = re.search(rf"^{MACHINE}(.*)$", text, re.MULTILINE)
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    titles_and_texts = zip(parts[1::2], parts[2::2], strict=True)
    sections = {title: _section(body) for title, body in titles_and_texts}
    return Report(machine[1] if machine else "", sections)


def spliced(text: str, measured: Sequence[str], remark: str) -> str:
    """Return the text of a report with newly measured tables in place of those of their titles.

    `remark` is written below each of them. A table that it lacks comes last; the list of what
    moved is left out.
    """
    head, *old = _divided(text)
    tables = {_title(table): table for table in old}
    for table in (table for part in measured for table in _divided(part)[1:]):
        tables[_title(table)] = f"{table.rstrip()}\n\n{remark}"
    tables.pop(MOVED, None)
    return "\n".join(part.strip("\n") + "\n" for part in (head, *tables.values()))


def _divided(text: str) -> list[str]:
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)


def _title(table: str) -> str:
    return table.partition("\n")[0]


def moved(before: Report, after: Report) -> list[Move]:
    """Return the figures of both reports that moved beyond the noise, in the order of `after`.

    The noise of a figure is the sum of the spreads of its rounds in both runs, and of the change
    and the spread of the calibration; at least NOISE_MIN.
    """
    return [
        move
        for title, section in after.sections.items()
        if title in before.sections
        for move in _moved(title, before.sections[title], section)
    ]


def compare(before: Report, after: Report) -> str:
    """Return the section of a report that lists its moves, unless the machines differ."""
    title = f"{MOVED}\n\n"
    if not before.machine or before.machine != after.machine:
        other = before.machine or "a machine that it does not name"
        return f"{title}Not compared: that report is of {other}.\n"
    lines = [f"- {move.text()}\n" for move in moved(before, after)]
    return title + ("".join(lines) or "No figure moved beyond the noise.\n")


def _moved(title: str, before: Section, after: Section) -> Iterator[Move]:
    machine = _machine_noise(before.calibration, after.calibration)
    old = before.figures()
    for (row, column), figure in after.figures().items():
        if (past := old.get((row, column))) is None or not past.median:
            continue
        noise = max(NOISE_MIN, machine + past.spread + figure.spread)
        if abs(figure.median / past.median - 1) > noise:
            yield Move(title, row, column, past, figure, noise)


def _machine_noise(before: Figure | None, after: Figure | None) -> float:
    if before is None or after is None:
        return 0.0
    return abs(after.median / before.median - 1) + max(before.spread, after.spread)


def _section(text: str) -> Section:
    section = Section()
    heads: list[str] = []
    for line in text.splitlines():
        if line.startswith(CALIBRATION):
            section.calibration = Figure.parse(line.removeprefix(CALIBRATION).partition(" (")[0])
        if not line.startswith("| "):
            continue
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = row
        elif row[0] != "---":
            pairs = zip(heads[1:], row[1:], strict=True)
            section.cells |= {(row[0], head): cell for head, cell in pairs}
    return section
