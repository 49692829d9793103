"""Everything side by side in one run, written to `benchmarks/RESULTS.md`. See `make bench`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from benchmarks import compaction, dashboard, freshness, ingest, memory, reports
from benchmarks.rounds import machine

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    """Measure, print and write."""
    parts = [
        f"# Measured\n\n{machine()}. {datetime.now(UTC):%Y-%m-%d}, by `make bench`. Candidates "
        "take turns; medians, and medians of the rounds' ratios to the first row.\n",
        "## Ingest\n\nOne event a request, 127 bytes; the load has the last core, the server the "
        "first (two workers: both).\n",
        ingest.run(ingest.ROUNDS, ingest.SECONDS),
        f"## Compaction of {compaction.EVENTS:,} events\n\nRatios to DuckDB's plain COPY.\n",
        compaction.run(compaction.EVENTS, compaction.ROUNDS),
        "## Reports\n\nMilliseconds, the opening of the live view included; the shop has "
        f"{reports.SHOP_EVENTS:,} events in every lake.\n",
        reports.run(list(reports.SIZES)),
        f"## Dashboard over {dashboard.EVENTS:,} events\n\nMilliseconds in headless Chromium, on "
        "the same cores: until it painted the first content, and until the page is whole.\n",
        dashboard.run(dashboard.EVENTS),
        f"## Freshness\n\nFrom an event's ack to the report that shows it, with "
        f"{freshness.EVENTS_PER_S:,} events/s pouring in, a compaction every 10 s, and the next "
        "report asked as soon as one is answered; load, service and reports share the cores.\n",
        freshness.run(freshness.EVENTS_PER_S, freshness.SECONDS),
        "## Memory of a worker\n\nAfter 3 s of events on 256 connections.\n",
        memory.run(list(memory.PRODUCTS)),
    ]
    RESULTS.write_text("\n".join(parts))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
