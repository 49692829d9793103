"""One backlog, compacted by each engine of `beaconlog compact`: the command from start to end.

The time of the processor is that of all processes that the command started. Ratios are to one
process. Spark is measured if pyspark is installed.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.backlog import Backlog, fill
from benchmarks.rounds import Result, interleaved, markdown, tell
from benchmarks.size import Size, run_alone

EVENTS = 2_000_000
ENGINES = {
    "one process": (),
    "2 processes": ("--engine", "processes", "--processes", "2"),
    "Spark, 2 executors": ("--engine", "spark", "--master", "local-cluster[2,1,1024]"),
}
ONE = "one process"
# Orphans become children of this process, so that their time counts.
_COST = """
import ctypes, json, os, resource, subprocess, sys, time
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
began_s = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
took_s = time.perf_counter() - began_s
try:
    while True:
        os.wait()
except ChildProcessError:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([took_s, usage.ru_utime + usage.ru_stime, json.loads(done.stdout)["lines"]]))
"""


def run(size: Size) -> str:
    """Return the table: a row per engine."""
    events = size.events(EVENTS)
    cpu_s: dict[str, list[float]] = {name: [] for name in ENGINES}
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        tell(f"compaction of {events:,} events by each engine")
        fill(data, Backlog(events))
        candidates = {
            name: partial(_took_s, data, options, events, cpu_s[name])
            for name, options in ENGINES.items()
            if "spark" not in options or importlib.util.find_spec("pyspark")
        }
        measured = interleaved(candidates, size.rounds)
    costs = {name: Result(name, cpu_s[name][-size.rounds :]) for name in candidates}
    rows = [
        (
            name,
            result.figure.text(1),
            result.ratio_to(measured.results[ONE]).text(2),
            costs[name].figure.text(1),
            costs[name].ratio_to(costs[ONE]).text(2),
        )
        for name, result in measured.results.items()
    ]
    head = ("", "seconds", "ratio", "CPU seconds", "ratio")
    return (
        f"## Compaction of {events:,} events by each engine\n\n"
        + markdown(head, rows)
        + measured.note()
    )


def _took_s(data: Path, options: tuple[str, ...], events: int, cpu_s: list[float]) -> float:
    """Compact into a new lake; return the seconds, and append those of the processor."""
    shutil.rmtree(data / "lake", ignore_errors=True)
    command = [sys.executable, "-m", "service", "compact", *options, "--json", "--data", str(data)]
    line = [sys.executable, "-c", _COST, *command]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    took_s, processor_s, lines = json.loads(done.stdout)
    assert lines == events
    cpu_s.append(processor_s)
    return float(took_s)


if __name__ == "__main__":
    run_alone(__doc__, run)
