"""The processor time of shipping the log to object storage, which is SeaweedFS on this machine.

Two logs, each shipped by a process that starts its shipper and ends it: one of large segments, in
which the bytes of the events cost, and one of many small ones, in which each segment costs. Only
the shipper's process counts, not the storage.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import backlog, capacity_storage
from benchmarks.backlog import Backlog
from benchmarks.rounds import BenchmarkFailed, interleaved, markdown
from benchmarks.servers import Command, Server, free_port, running
from benchmarks.size import Size, run_alone

LARGE_EVENTS = 300_000
SMALL_SEGMENTS = 200
LARGE, SMALL = "CPU µs per event, in segments of 64 MiB", "CPU ms per segment, each of 500 events"
_SHIP = """
import sys, time
from pathlib import Path
from etl.layout import Layout
from etl.log.shipping import Shipper, destination
began_s = time.process_time()
shipper = Shipper(Layout(Path(sys.argv[1])), destination(sys.argv[2]), grace_s=1e9)
ends_s = time.monotonic() + 60
while (done := shipper.round()).waiting:  # until the storage has started
    assert time.monotonic() < ends_s, done
print(time.process_time() - began_s)
"""


def run(size: Size) -> str:
    """Return the section of the report."""
    if capacity_storage.NEEDS:
        raise BenchmarkFailed(capacity_storage.NEEDS)
    events, segments = size.events(LARGE_EVENTS), max(1, round(SMALL_SEGMENTS * size.scale))
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder, _storage() as environment:
        large, small = Path(folder) / "large", Path(folder) / "small"
        hour = timedelta(hours=1)
        backlog.fill(large, Backlog(events, lasts=hour))
        lines = backlog.BATCH_LINES * segments
        backlog.fill(small, Backlog(lines, lasts=hour, segment_bytes_max=1))
        urls = (f"s3://bench/{number}" for number in count())

        def event_us() -> float:
            return 1e6 * _cpu_s(large, next(urls), environment) / events

        def segment_ms() -> float:
            return 1e3 * _cpu_s(small, next(urls), environment) / segments

        measured = interleaved({LARGE: event_us, SMALL: segment_ms}, size.rounds)
    rows = [(name, result.figure.text(2)) for name, result in measured.results.items()]
    return "## Shipping\n\n" + markdown(("", "measured"), rows) + measured.note()


@contextmanager
def _storage() -> Iterator[dict[str, str]]:
    """Run the storage; the value is the environment of its clients."""
    environment: dict[str, str] = {}

    def commands(port: int, folder: Path) -> list[Command]:
        command, access = capacity_storage.storage(folder, port, free_port())
        environment.update(access)
        return [command]

    with running(Server("SeaweedFS", commands, cpus=2)):
        yield environment


def _cpu_s(data: Path, url: str, environment: dict[str, str]) -> float:
    """Return the CPU seconds of shipping a log: a copy of it, so that the log stays unshipped."""
    copy = data.with_name("copy")
    shutil.copytree(data, copy, copy_function=os.link)
    line = [sys.executable, "-c", _SHIP, copy, url]
    env = os.environ | environment
    done = subprocess.run(line, env=env, stdout=subprocess.PIPE, text=True, check=True)
    shutil.rmtree(copy)
    return float(done.stdout)


if __name__ == "__main__":
    run_alone(__doc__, run)
