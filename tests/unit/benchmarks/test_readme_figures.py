"""The README's figures are made from a report."""

from pathlib import Path

import pytest

from benchmarks import readme, results
from benchmarks.ingest import HEADS
from benchmarks.rounds import markdown

SERVERS = markdown(
    HEADS,
    [
        ("beaconlog", "yes", "yes", "21,170 ± 3 %", "1.00 ± 0 %", "4.3", "43.0"),
        ("Fastify", "yes", "no", "41,341 ± 2 %", "1.95 ± 1 %", "113.4", "24.0"),
    ],
)
BROWSERS = markdown(HEADS, [("Fastify", "yes", "no", "9,876 ± 3 %", "1.00 ± 0 %", "4.4", "33.1")])
COMPACTION = markdown(
    ("", "events/s", "ratio", "peak MiB"),
    [("beaconlog compact", "624,298 ± 1 %", "0.68 ± 2 %", "672")],
)
DASHBOARD = markdown(
    ("ms", "first content", "whole page"),
    [("one shop", "68 ± 1 %", "987 ± 1 %"), ("all shops", "9 ± 1 %", "1,470 ± 4 %")],
)
REPORT = f"""# Measured

## Ingest, 64 connections

{SERVERS}
## Ingest, 500 browsers, 256 connections

{BROWSERS}
## Compaction of 1,000,000 events

{COMPACTION}
## Dashboard over 10 M events

{DASHBOARD}
## Memory of a worker

wrk: not installed.
"""


def test_a_row_per_server_holds_its_figures_without_spreads() -> None:
    """From the table of each load; a load that a server did not get is an empty cell."""
    lines = readme.render(results.parse(REPORT)).splitlines()
    assert "| beaconlog | yes | yes | 21,170 |  |  |  |  |  |" in lines
    assert "| Fastify | yes | no | 41,341 |  |  |  | 9,876 |  |" in lines


def test_a_sentence_per_benchmark_holds_its_figures() -> None:
    """The least and the largest, as numbers; nothing is shown of what was not measured."""
    text = readme.render(results.parse(REPORT))
    assert "Compaction reaches 624,298 events/s, 0.68 of DuckDB" in text
    assert "first content in 9 to 68 ms and is complete in 987 to 1,470 ms." in text
    assert text.count("\n- ") == 2


def test_only_the_figures_of_the_readme_are_written(tmp_path: Path) -> None:
    """Between the comments; writing them twice changes nothing."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{readme.BEGIN}old\n{readme.END}after\n")
    readme.write(REPORT, page)
    once = page.read_text()
    readme.write(REPORT, page)
    assert page.read_text() == once
    assert once.startswith(f"before\n{readme.BEGIN}|")
    assert once.endswith(f"{readme.END}after\n")
    assert "old" not in once


@pytest.mark.parametrize("text", ["", readme.BEGIN, readme.END])
def test_a_readme_without_the_comments_is_left_alone(text: str, tmp_path: Path) -> None:
    """The error names the one that is missing."""
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(readme.MarkersMissing, match="figures"):
        readme.write(REPORT, page)
    assert page.read_text() == text
