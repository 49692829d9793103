"""Compaction beside what else makes Parquet of the same segments.

`python -m benchmarks.compaction [EVENTS] [ROUNDS]`. What each does: beaconlog verifies every
segment's CRC, drops duplicates, sorts, syncs and commits; the others read and write, no more.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.backlog import Backlog, fill
from benchmarks.rounds import Result, interleaved, markdown, measured_process, tell

EVENTS = 1_000_000
ROUNDS = 5

BEACONLOG = """
import shutil
from pathlib import Path
from etl.lake import compaction
data = Path(sys.argv[1])
shutil.rmtree(data / "lake", ignore_errors=True)
started = time.perf_counter()
outcome = compaction.run(data, compaction.CompactionPlan(segment_grace_s=1e9), time.time())
took_s = time.perf_counter() - started
assert outcome.rows == int(sys.argv[2]), outcome
"""
DUCKDB = """
import duckdb
con = duckdb.connect(config={"threads": 2})
started = time.perf_counter()
con.execute(f"COPY (SELECT * FROM read_ndjson('{sys.argv[1]}/log/*/*.ndjson')) "
            f"TO '{sys.argv[1]}/plain.parquet' (FORMAT parquet, COMPRESSION zstd)")
took_s = time.perf_counter() - started
"""
POLARS = """
import polars
started = time.perf_counter()
lines = polars.scan_ndjson(f"{sys.argv[1]}/log/*/*.ndjson", infer_schema_length=10_000)
lines.sink_parquet(f"{sys.argv[1]}/polars.parquet", compression="zstd")
took_s = time.perf_counter() - started
"""
SPARK = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").getOrCreate()
started = time.perf_counter()
lines = spark.read.json(f"{sys.argv[1]}/log/*/*.ndjson")
lines.write.mode("overwrite").option("compression", "zstd").parquet(f"{sys.argv[1]}/spark.parquet")
took_s = time.perf_counter() - started
"""
WHAT = {
    "beaconlog compact": (BEACONLOG, "CRC, duplicates, sort, fsync, commit", None),
    "DuckDB COPY": (DUCKDB, "no more than that", None),
    "Polars": (POLARS, "no more than that", "polars"),
    "Spark, local": (SPARK, "no more than that", "pyspark"),
}


def run(events: int, rounds: int) -> str:
    """The table of one size of backlog."""
    peaks: dict[str, float] = {}
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        tell(f"compaction of {events} events")
        fill(data, Backlog(events))
        candidates: dict[str, Callable[[], float]] = {
            name: partial(_events_per_s, name, code, data, events, peaks)
            for name, (code, _, module) in WHAT.items()
            if module is None or importlib.util.find_spec(module)
        }
        results = interleaved(candidates, rounds)
    plain = next(result for result in results if result.name == "DuckDB COPY")
    missing = [name for name in WHAT if name not in candidates]
    return _table(results, plain, peaks) + "".join(
        f"\n{name}: not installed.\n" for name in missing
    )


def _events_per_s(name: str, code: str, data: Path, events: int, peaks: dict[str, float]) -> float:
    found = measured_process(code, data, events)
    peaks[name] = max(peaks.get(name, 0), found["peak_mib"])
    return events / found["took_s"]


def _table(results: list[Result], plain: Result, peaks: dict[str, float]) -> str:
    rows = [
        (
            result.name,
            WHAT[result.name][1],
            f"{result.median:,.0f}",
            f"{result.ratio_to(plain):.2f}",
            f"{peaks[result.name]:.0f}",
        )
        for result in results
    ]
    return markdown(("", "beside reading and writing", "events/s", "ratio", "peak MiB"), rows)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    print(run(*(given + [EVENTS, ROUNDS][len(given) :])))
