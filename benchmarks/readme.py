"""The figures of the README, made from a report of the benchmarks.

`python -m benchmarks.readme` writes them again from `benchmarks/RESULTS.md`; `make bench` does so
too. They stand between two comments. A figure that the report lacks is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ingest, loads, reports, results
from benchmarks.results import Report
from benchmarks.rounds import markdown

BEGIN, END = "<!-- figures, from make bench -->\n", "<!-- end of figures -->\n"
_README = Path(__file__).parents[1] / "README.md"
RESULTS = Path(__file__).parent / "RESULTS.md"
_AT_64, _AT_256, _NEW_HEADS, BROWSERS, _SHORT = (case.title for case in ingest.CASES)
_COLUMNS = (
    ("validates", _AT_64, "validates"),
    ("on disk before it answers", _AT_64, "on disk before it answers"),
    ("events/s at 64 connections", _AT_64, "events/s"),
    ("at 256", _AT_256, "events/s"),
    ("p99 ms at 256", _AT_256, "p99 ms"),
    ("no head twice, at 256", _NEW_HEADS, "events/s"),
    ("500 browsers, at 256", BROWSERS, "events/s"),
    ("one request per connection", _SHORT, "events/s"),
)
"""A head of the README's table, and the section and column that it shows."""


class NotMeasured(Exception):
    """The report lacks a figure."""


class MarkersMissing(Exception):
    """A page lacks the comments around its figures."""


@dataclass(frozen=True, slots=True)
class Table:
    """A section of the report."""

    cells: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, report: Report, title: str) -> Table:
        """Return the first section with this beginning of its title. Raises NotMeasured."""
        for name, section in report.sections.items():
            if name.startswith(title) and section.cells:
                return cls(section.cells)
        raise NotMeasured(title)

    def cell(self, row: str, column: str) -> str:
        """Return a cell without its spread. Raises NotMeasured."""
        if (row, column) not in self.cells:
            raise NotMeasured(f"{row}, {column}")
        return self.cells[row, column].partition(" ± ")[0]

    def row(self, row: str) -> str:
        """Return the cells of a row, such as `1, 2 and 3`. Raises NotMeasured."""
        cells = [self.cell(name, column) for name, column in self.cells if name == row]
        if not cells:
            raise NotMeasured(row)
        return f"{', '.join(cells[:-1])} and {cells[-1]}" if len(cells) > 1 else cells[0]

    def rows(self) -> Sequence[str]:
        """Return the names of the rows."""
        return list(dict.fromkeys(row for row, _ in self.cells))

    def columns(self) -> Sequence[str]:
        """Return the heads of the columns."""
        return list(dict.fromkeys(column for _, column in self.cells))

    def between(self, column: str) -> str:
        """Return the least and the largest cell of a column, such as `1 to 3`."""
        cells = [self.cell(row, column) for row, head in self.cells if head == column]
        if not cells:
            raise NotMeasured(column)
        cells.sort(key=lambda cell: float(cell.replace(",", "")))
        return f"{cells[0]} to {cells[-1]}"


def render(report: Report) -> str:
    """Return the README's figures."""
    sentences = []
    for sentence in _SENTENCES:
        try:
            sentences.append(f"- {sentence(report)}\n")
        except NotMeasured:
            continue
    return f"{_servers(report)}\n{''.join(sentences)}"


def write(text: str, readme: Path = _README) -> None:
    """Write the figures of a report's text to the README. Raises MarkersMissing."""
    replace(readme, BEGIN, END, render(results.parse(text)))


def replace(page: Path, begin: str, end: str, text: str) -> None:
    """Write a text into a page, between two comments. Raises MarkersMissing."""
    before, began, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not began or not ended:
        raise MarkersMissing(f"{page} lacks the comment {(begin if not began else end).strip()}")
    page.write_text(f"{before}{begin}{text}{end}{after}")


def _servers(report: Report) -> str:
    try:
        names = list(dict.fromkeys(row for row, _ in Table.of(report, _AT_64).cells))
    except NotMeasured:
        names = []
    rows = [
        (name, *(_cell(report, title, name, column) for _, title, column in _COLUMNS))
        for name in names
    ]
    return markdown(("events of users, one per request", *(head for head, _, _ in _COLUMNS)), rows)


def _cell(report: Report, title: str, row: str, column: str) -> str:
    try:
        return Table.of(report, title).cell(row, column)
    except NotMeasured:
        return ""


def _batches(report: Report) -> str:
    table = Table.of(report, "Batches")
    speeds = {
        row: table.cell(row, "events/s") for row, column in table.cells if column == "events/s"
    }
    listed = ", ".join(f"{row} {speed}" for row, speed in speeds.items())
    return f"Events/s in batches of {loads.BATCH_EVENTS}: {listed}."


def _growth(report: Report) -> str:
    table = Table.of(report, "Growth")
    *most, last = table.columns()
    return (
        f"Over {', '.join(most)} and {last} events of the last 24 hours, all with ids, opening the "
        f"live view takes {table.row('live view, opened first, ms')} ms the first time and "
        f"{table.row('live view, opened again after a new segment, ms')} ms later, and "
        f"the compaction of 10,000 events {table.row('compaction of the tail, ms')} ms. An event "
        f"takes {table.row('Parquet, bytes per event')} bytes of Parquet."
    )


def _compaction(report: Report) -> str:
    table = Table.of(report, "Compaction of")
    speed, ratio, peak = (
        table.cell("beaconlog compact", column) for column in ("events/s", "ratio", "peak MiB")
    )
    return (
        f"Compaction reaches {speed} events/s, {ratio} of DuckDB's plain `COPY` of the same "
        "segments, with CRCs verified, duplicates dropped, rows sorted and files synced; it takes "
        f"at most {peak} MiB for a million events "
        "([more](docs/decisions/parquet.md) for a backlog)."
    )


def _reports(report: Report) -> str:
    month, year = (Table.of(report, f"Reports over {period}") for period in ("50 M", "14.6 M"))
    tail = Table.of(report, "Reports of one shop")
    return (
        f"A report over 30 days of 50 M events takes {month.between('one shop')} ms for one shop "
        f"of {reports.SHOP_EVENTS:,} events, and {month.between('all shops')} ms for all shops; "
        f"over a year of 14.6 M events {year.between('one shop')} ms for one shop; with "
        f"{reports.TAIL_EVENTS:,} events of all shops in the log's tail {tail.between('one shop')} "
        "ms."
    )


def _dashboard(report: Report) -> str:
    table = Table.of(report, "Dashboard over")
    return (
        f"The dashboard over 10 M events paints its first content in "
        f"{table.between('first content')} ms and is complete in {table.between('whole page')} ms."
    )


def _freshness(report: Report) -> str:
    table = Table.of(report, "Freshness")
    return (
        f"An event is in a report {table.cell('', 'median s')} s after its 2xx (median; "
        f"95th percentile {table.cell('', '95th s')} s) at {table.cell('', 'events/s')} events/s."
    )


def _memory(report: Report) -> str:
    table = Table.of(report, "Memory")
    sizes = {
        row: table.cell(row, "resident MiB") for row, column in table.cells if "resident" in column
    }
    listed = " and ".join(f"{mib} MiB with {products} products" for products, mib in sizes.items())
    return f"A worker takes {listed}."


_SENTENCES: Sequence[Callable[[Report], str]] = (
    _batches,
    _growth,
    _compaction,
    _reports,
    _dashboard,
    _freshness,
    _memory,
)


if __name__ == "__main__":
    write(RESULTS.read_text())
