"""All benchmarks in one run, written to `benchmarks/RESULTS.md`. See `make bench`.

The report says on which machine and how busy it was, and which figures moved against the report
that is committed. At full size the run takes less than 30 minutes. A smaller run (see
`benchmarks.size`) prints its report and writes nothing. `--only reports dashboard` measures these
alone, and writes them in place of the same tables of the committed report.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks import (
    batches,
    card,
    compaction,
    contexts,
    dashboard,
    freshness,
    growth,
    ingest,
    memory,
    readme,
    reports,
    results,
    size,
    throttle,
    throttle_hangs,
    throttle_server,
)
from benchmarks.rounds import BenchmarkFailed, tell

RESULTS = Path(__file__).parent / "RESULTS.md"
_PARTS = {
    part.__name__.rpartition(".")[2]: part
    for part in (
        ingest,
        batches,
        contexts,
        growth,
        reports,
        compaction,
        dashboard,
        freshness,
        memory,
        throttle,
        throttle_server,
        throttle_hangs,
    )
}


def main() -> None:
    """Measure and print; write the report and the README's figures too, if the run is whole."""
    size.clean_up_on_sigterm()
    asked = _arguments()
    chosen = size.chosen(asked)
    head, apart, committed, began_s = _head(), _apart(), _committed(), time.monotonic()
    parts, failed = _measure({name: _PARTS[name] for name in asked.only or _PARTS}, chosen)
    minutes = (time.monotonic() - began_s) / 60
    if asked.only:
        text = results.spliced(committed, parts, apart)
    else:
        text = "\n".join([head, f"The run took {minutes:.0f} minutes.\n", *parts])
    text += "\n" + results.compare(results.parse(committed), results.parse(text))
    print(text)
    if failed:
        sys.exit(f"RESULTS.md is left as it was: {', '.join(failed)} failed")
    if chosen.is_whole:
        RESULTS.write_text(text)
        readme.write(text)
    else:
        tell("A smaller run: RESULTS.md and README.md are left as they were.")


def _arguments() -> argparse.Namespace:
    parser = size.parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=list(_PARTS), metavar="NAME")
    return parser.parse_args()


def _measure(parts: Mapping[str, ModuleType], chosen: size.Size) -> tuple[list[str], list[str]]:
    """Return the texts of benchmarks, and the names of those that failed."""
    texts, failed = [], []
    for name, part in parts.items():
        try:
            texts.append(part.run(chosen))
        except (BenchmarkFailed, subprocess.CalledProcessError) as error:
            failed.append(name)
            texts.append(f"## Failed: {name}\n\n{error}\n")
    return texts, failed


def _apart() -> str:
    """Return the line below a table that was measured without the others."""
    return f"Measured apart from the others, {datetime.now(UTC):%Y-%m-%d}. {card.load()}\n"


def _head() -> str:
    return (
        f"# Measured\n\n{results.MACHINE}{card.machine()}\n\n{card.software()}. "
        f"{datetime.now(UTC):%Y-%m-%d}, by `make bench`. {card.load()} Candidates take turns. A "
        "figure is the median of its rounds, ± half of their range; a ratio is taken round by "
        "round. The calibration is one calculation, the same before each round: its spread is the "
        "noise of the machine.\n"
    )


def _committed() -> str:
    """Return the report that is committed; without git, the one that is there."""
    line = ["git", "show", "HEAD:benchmarks/RESULTS.md"]
    shown = subprocess.run(line, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return RESULTS.read_text() if shown.returncode else shown.stdout


if __name__ == "__main__":
    main()
