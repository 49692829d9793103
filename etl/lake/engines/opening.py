"""The engines by which `beaconlog compact` runs: plans whose passes other processes write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from etl.lake.compaction import CompactionPlan
from etl.lake.engines import processes as local_processes
from etl.lake.engines import spark as spark_cluster
from etl.lake.engines.spread import Spread
from etl.lake.engines.workers import Workers


@contextmanager
def processes(plan: CompactionPlan, number: int | None = None) -> Iterator[CompactionPlan]:
    """Compact by processes of this machine, by default `processes.usable` ones."""
    with local_processes.opened(number or local_processes.usable()) as workers:
        yield by_workers(plan, workers)


@contextmanager
def spark(plan: CompactionPlan, master: str) -> Iterator[CompactionPlan]:
    """Compact on a Spark cluster. Raises SparkUnavailable, WorkersFailed."""
    with spark_cluster.opened(master) as workers:
        yield by_workers(plan, workers)


def by_workers(plan: CompactionPlan, workers: Workers) -> CompactionPlan:
    """Return the plan in which a task has the memory, and a pass the bytes, per thread of `plan`.

    So a pass grows with the workers, and their tasks stay of one size.
    """
    bytes_max = plan.bytes_max // plan.threads_max * workers.parallel
    memory_bytes_max = plan.memory_bytes_max // plan.threads_max
    return replace(plan, bytes_max=bytes_max, write=Spread(workers, memory_bytes_max).write)
