"""The costs of the parts: those in RESULTS.md, and the others, measured here.

Measured here is processor time, which hardly depends on what else the machine does, and bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from benchmarks import backlog, lakes, loads, readme, results
from benchmarks.backlog import Backlog
from benchmarks.capacity_plan import Costs
from benchmarks.growth import BESIDE, PARQUET
from benchmarks.lakes import Lake
from benchmarks.loads import Request
from benchmarks.readme import Table
from benchmarks.rounds import tell
from benchmarks.size import Size

COMPACTED_EVENTS = 500_000
TAIL_EVENTS = 300_000
SEARCHED_FILES, FILE_EVENTS = 8, 600_000
_FEW_EVENTS = 1_000
_MERGED_FILES = 20
_ID_BYTES = 36
_CPU = "CPU µs per event"
_REPORTED = "Reports over 50 M"
_REPORTED_MILLIONS = 50

_COMPACT = """
from etl.lake import compaction
outcome = compaction.run(data, compaction.CompactionPlan(segment_grace_s=1e9), time.time())
assert outcome.rows, outcome
"""
_MERGE = """
from etl.upkeep import maintenance
outcome = maintenance.run(data, maintenance.MaintenancePlan(), time.time())
assert outcome.merged_files, outcome
"""
_READ_AHEAD = """
view = etl.lake.live.view.LiveView(data)
view.ahead.run(new_bytes_min=0)
"""


def measure(size: Size) -> Costs:
    """Return all costs. Raises NotMeasured if RESULTS.md lacks a figure."""
    return Costs(
        **published(readme.RESULTS.read_text()),
        **_of_compaction(size),
        **_of_reading_ahead(size),
        **_of_merging(size),
        single_request_bytes=_wire_bytes(loads.browsers_kept()),
        batched_request_bytes=_wire_bytes(loads.batches()) / loads.BATCH_EVENTS,
    )


def published(text: str) -> Mapping[str, float]:
    """Return the costs that a report of all benchmarks shows. Raises NotMeasured."""
    report = results.parse(text)

    def figure(title: str, row: str, column: str) -> float:
        return float(Table.of(report, title).cell(row, column).replace(",", ""))

    largest = Table.of(report, "Growth").columns()[-1]
    return {
        "single_cpu_us": figure(readme.BROWSERS, "beaconlog", _CPU),
        "batched_cpu_us": figure("Batches", "beaconlog", _CPU),
        "parquet_bytes": figure("Growth", f"{PARQUET}, bytes per event", largest),
        "key_bytes": figure("Growth", f"{BESIDE}, bytes per event", largest),
        "report_ms": figure(_REPORTED, "summary", "all shops") / _REPORTED_MILLIONS,
    }


def _wire_bytes(requests: Sequence[Request]) -> float:
    return mean(
        len(wire) + wire.count(loads.ID) * (_ID_BYTES - len(loads.ID))
        for wire in (request.wire(0) for request in requests)
    )


def _of_compaction(size: Size) -> Mapping[str, float]:
    """Return the costs of a compaction into an empty lake, and the search in one day's keys."""
    events = size.events(COMPACTED_EVENTS)
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        empty, full = Path(folder) / "empty", Path(folder) / "full"
        backlog.fill(empty, Backlog(events, lasts=timedelta(hours=1)))
        shutil.copytree(empty, full, copy_function=os.link)
        lakes.fill(full, _day_before(SEARCHED_FILES * size.events(FILE_EVENTS)))
        few = Path(folder) / "few"
        backlog.fill(few, Backlog(_FEW_EVENTS, lasts=timedelta(minutes=1)))
        alone_us, searching_us, pass_ms = list[float](), list[float](), list[float]()
        for number in range(1, size.rounds + 1):
            tell(f"compactions, round {number} of {size.rounds}")
            alone_us.append(_copied_cpu_us(_COMPACT, empty, events))
            searching_us.append(_copied_cpu_us(_COMPACT, full, events) - alone_us[-1])
            few_us = _copied_cpu_us(_COMPACT, few, _FEW_EVENTS) - alone_us[-1]
            pass_ms.append(max(0.0, few_us) * _FEW_EVENTS / 1_000)
        log_bytes = backlog.log_bytes(empty) / events
    return {
        "log_bytes": log_bytes,
        "compaction_cpu_us": median(alone_us),
        "key_search_cpu_ns": max(0.0, 1_000 * median(searching_us) / SEARCHED_FILES),
        "pass_cpu_ms": median(pass_ms),
    }


def _day_before(events: int) -> Lake:
    """Return a lake of the day before the backlog, in files as compactions leave them."""
    day = backlog.START.date() - timedelta(days=1)
    return Lake(events, day, days=1, files_per_day=SEARCHED_FILES)


def _of_reading_ahead(size: Size) -> Mapping[str, float]:
    """Return the cost of parsing the tail for reports."""
    events = size.events(TAIL_EVENTS)
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        backlog.fill(data, Backlog(events, lasts=timedelta(minutes=1)))
        costs_us = [_copied_cpu_us(_READ_AHEAD, data, events) for _ in range(size.rounds)]
    return {"read_ahead_cpu_us": median(costs_us)}


def _of_merging(size: Size) -> Mapping[str, float]:
    """Return the cost of merging the files of many compactions."""
    events = size.events(COMPACTED_EVENTS)
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        lakes.fill(data, Lake(events, days=1, files_per_day=_MERGED_FILES))
        costs_us = [_copied_cpu_us(_MERGE, data, events) for _ in range(size.rounds)]
    return {"merge_cpu_us": median(costs_us)}


def _copied_cpu_us(code: str, data: Path, events: int) -> float:
    """Return the CPU time per event of code that works on a copy of a data folder."""
    copy = data.with_name("copy")
    shutil.copytree(data, copy, copy_function=os.link)  # files of log and lake never change
    cpu_us = 1e6 * _cpu_s(code, copy) / events
    shutil.rmtree(copy)
    return cpu_us


def _cpu_s(code: str, data: Path) -> float:
    """Return the CPU seconds of Python code that knows `data`, without those of its start."""
    line = [sys.executable, "-c", _PROLOGUE + code + _EPILOGUE, str(data)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


_PROLOGUE = """
import sys, time
from pathlib import Path
import etl.lake.compaction, etl.lake.live.view, etl.upkeep.maintenance
data, began_s = Path(sys.argv[1]), time.process_time()
"""
_EPILOGUE = "print(time.process_time() - began_s)\n"
