"""Compaction beside other programs that make Parquet of the same segments.

beaconlog verifies every segment's CRC, drops duplicates, sorts, syncs and commits; the others read
and write, no more. Ratios are to DuckDB's plain COPY.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.backlog import Backlog, fill
from benchmarks.rounds import Measured, interleaved, markdown, measured_process, tell
from benchmarks.size import Size, run_alone

EVENTS = 1_000_000

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
PLAIN = "DuckDB COPY"
WORK = {
    "beaconlog compact": (BEACONLOG, "CRC, duplicates, sort, fsync, commit", None),
    PLAIN: (DUCKDB, "none", None),
    "Polars": (POLARS, "none", "polars"),
    "Spark, local": (SPARK, "none", "pyspark"),
}


def run(size: Size) -> str:
    """Return the table: a row per program."""
    events = size.events(EVENTS)
    peaks_mib: dict[str, float] = {}
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        tell(f"compaction of {events:,} events")
        fill(data, Backlog(events))
        candidates: dict[str, Callable[[], float]] = {
            name: partial(_events_per_s, name, code, data, events, peaks_mib)
            for name, (code, _, module) in WORK.items()
            if module is None or importlib.util.find_spec(module)
        }
        measured = interleaved(candidates, size.rounds)
    missing = [name for name in WORK if name not in candidates]
    return (
        f"## Compaction of {events:,} events\n\nRatios are to DuckDB's plain COPY.\n\n"
        + _table(measured, peaks_mib)
        + measured.note()
        + "".join(f"\n{name}: not installed; `pip install {WORK[name][2]}`.\n" for name in missing)
    )


def _events_per_s(
    name: str, code: str, data: Path, events: int, peaks_mib: dict[str, float]
) -> float:
    process = measured_process(code, data, events)
    peaks_mib[name] = max(peaks_mib.get(name, 0), process["peak_mib"])
    return events / process["took_s"]


def _table(measured: Measured, peaks_mib: dict[str, float]) -> str:
    plain = measured.results[PLAIN]
    rows = [
        (
            name,
            WORK[name][1],
            result.figure.text(),
            result.ratio_to(plain).text(2),
            f"{peaks_mib[name]:.0f}",
        )
        for name, result in measured.results.items()
    ]
    return markdown(("", "beside reading and writing", "events/s", "ratio", "peak MiB"), rows)


if __name__ == "__main__":
    run_alone(__doc__, run)
