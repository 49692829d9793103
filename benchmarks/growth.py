"""Costs that should not grow with the lake: opening the live view, a compaction, a shop's report.

Lakes of one day's events, all with ids, in files as compactions leave them, and a tail of 10,000
events of 300 shops. Milliseconds; and bytes per event on disk.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import backlog, lakes
from benchmarks.backlog import Backlog
from benchmarks.figures import Figure
from benchmarks.lakes import SHOP, Lake
from benchmarks.reports import SHOP_EVENTS, answer_ms, new_segment
from benchmarks.rounds import BenchmarkFailed, Measured, interleaved, markdown, note
from benchmarks.size import Size, millions, run_alone
from etl.lake import compaction
from etl.lake.live.view import LiveView

SIZES = (1_000_000, 10_000_000, 30_000_000)
FILE_EVENTS = 600_000
TAIL_EVENTS, TAIL_SHOPS = 10_000, 300
SEGMENT_EVENTS = 500
OPENED_FIRST = "live view, opened first"
OPENED_OF_SHOP = "live view of one shop, opened first"
OPENED_AGAIN = "live view, opened again after a new segment"
PASS = "compaction of the tail"
SUMMARY = "summary of one shop"
PARQUET, BESIDE = "Parquet", "other files of the lake"
_GRACE_S = 1e9


def run(size: Size) -> str:
    """Return the table: a row per cost, a column per lake."""
    columns = {millions(events): _measured(size, events) for events in map(size.events, SIZES)}
    names = (OPENED_FIRST, OPENED_OF_SHOP, OPENED_AGAIN, PASS, SUMMARY)
    rows = [
        (f"{name}, ms", *(each.results[name].figure.text() for each, _ in columns.values()))
        for name in names
    ]
    for name in (PARQUET, BESIDE):
        sizes = (Figure(on_disk[name], 0.0) for _, on_disk in columns.values())
        rows.append((f"{name}, bytes per event", *(each.text(1) for each in sizes)))
    return (
        "## Growth\n\nEvents of the last 24 hours, all with ids, in files of "
        f"{FILE_EVENTS:,}; {TAIL_EVENTS:,} events of {TAIL_SHOPS} shops in the tail; one shop has "
        f"{size.events(SHOP_EVENTS):,} events.\n\n"
        + markdown(("", *columns), rows)
        + note([each for each, _ in columns.values()])
    )


def _measured(size: Size, events: int) -> tuple[Measured, Mapping[str, float]]:
    day_before = backlog.START.date() - timedelta(days=1)
    files = max(1, events // FILE_EVENTS)
    lake = Lake(events, day_before, days=1, files_per_day=files, of_shop=size.events(SHOP_EVENTS))
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        lakes.fill(data, lake)
        on_disk = bytes_per_event(data, events)
        backlog.fill(data, Backlog(TAIL_EVENTS, lasts=timedelta(minutes=1), shops=TAIL_SHOPS))
        untouched = Path(folder) / "untouched"
        _copy(data, untouched)
        view, grow = LiveView(data), new_segment(data, SEGMENT_EVENTS)
        view.connect().close()

        def opened_again() -> float:
            grow()
            return _open_ms(view)

        measured = interleaved(
            {
                OPENED_FIRST: lambda: _open_ms(LiveView(untouched)),
                OPENED_OF_SHOP: lambda: _open_ms(LiveView(untouched), SHOP),
                OPENED_AGAIN: opened_again,
                PASS: lambda: _pass_ms(untouched),
                SUMMARY: lambda: answer_ms(view, "summary", str(SHOP)),
            },
            size.rounds,
        )
    return measured, on_disk


def _open_ms(view: LiveView, tenant: int | None = None) -> float:
    began_s = time.perf_counter()
    con = view.connect(tenant=tenant)
    took_ms = 1000 * (time.perf_counter() - began_s)
    con.close()
    return took_ms


def _pass_ms(data: Path) -> float:
    """Return the milliseconds of a compaction in a copy of the data folder."""
    copy = data.with_name("compacted")
    _copy(data, copy)
    plan = compaction.CompactionPlan(segment_grace_s=_GRACE_S)
    began_s = time.perf_counter()
    result = compaction.run(copy, plan, time.time())
    took_ms = 1000 * (time.perf_counter() - began_s)
    if result.lines != TAIL_EVENTS:
        raise BenchmarkFailed(f"the compaction took {result.lines} lines of {TAIL_EVENTS}")
    shutil.rmtree(copy)
    return took_ms


def _copy(data: Path, copy: Path) -> None:
    """Copy a data folder; files of the lake never change, so they are linked."""
    shutil.copytree(data, copy, ignore=lambda folder, _: ["lake"] if folder == str(data) else [])
    shutil.copytree(data / "lake", copy / "lake", copy_function=os.link)


def bytes_per_event(data: Path, events: int) -> Mapping[str, float]:
    """Return the bytes per event of the Parquet files, and of what lies beside them."""
    sizes = {PARQUET: 0, BESIDE: 0}
    for path in (data / "lake" / "events").glob("event_date=*/*"):
        name = PARQUET if path.suffix == ".parquet" else BESIDE
        sizes[name] += path.stat().st_size
    return {name: size / events for name, size in sizes.items()}


if __name__ == "__main__":
    run_alone(__doc__, run)
