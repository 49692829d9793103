"""The process of one query: import everything, wait for a task, confine the process, run the query.

    python -m etl.reports.sandbox.worker <task >answer

`etl.reports.sandbox.protocol` describes its streams and exit codes. It waits at most WAIT_S for a
task.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from importlib.resources import files as package_files
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset  # DuckDB would import it later, when its files cannot be read

from etl.lake.duck import lock_down
from etl.lake.live.names import Names
from etl.lake.live.view import LiveView, ViewLimits
from etl.lake.store import LocalLake
from etl.layout import Layout
from etl.log.store import LocalLog
from etl.reports.sandbox import confine, protocol, queries
from etl.reports.sandbox.protocol import ERRORS, MARK, Task

WAIT_S = 300.0
_MESSAGE_CHARS_MAX = 4_000
# DuckDB reads the memory limit of the control group from these files.
_READ_BY_DUCKDB = (Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
_SETTINGS = (
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
)


def main() -> int:
    """Run one task; return the exit code."""
    confine.end_with_parent()
    if not select.select([sys.stdin], [], [], WAIT_S)[0]:
        return 0
    task = protocol.read_task(sys.stdin.buffer)
    if task is None:
        return 0
    signal.setitimer(signal.ITIMER_REAL, task.timeout_s)  # SIGALRM ends the process
    try:
        _run(task, protocol.read_names(sys.stdin.buffer))
    except tuple(ERRORS.values()) as error:
        sys.stderr.write(f"{MARK}{str(error)[:_MESSAGE_CHARS_MAX]}")
        sys.stderr.flush()
        return next(code for code, type_ in ERRORS.items() if isinstance(error, type_))
    return 0


def _run(task: Task, names: Names) -> None:
    con = _confined_connection(task, names)
    for part in queries.json_parts(con, task.sql, task.rows_max):
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def _confined_connection(task: Task, names: Names) -> duckdb.DuckDBPyConnection:
    """Return a live connection and confine the process: from now on it only reads the lake."""
    # The files of log and lake are here: the sandbox's parent has seen to it.
    layout, store = Layout(Path(task.data)), LocalLog(Path(task.log), Path(task.log) / "lock")
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    pa.scalar(0, pa.timestamp("us", "UTC")).as_py()  # imports the modules of time zones
    package = Path(str(package_files("etl.lake")))  # its .sql files are read later
    folders = [layout.lake, layout.log, store.folder]
    confine.read_only([*folders, layout.format_file, package, *_READ_BY_DUCKDB])
    limits = ViewLimits(task.memory_bytes_max, task.threads_max, may_spill=False, tail_bytes_max=0)
    lake = LocalLake(layout, task.versions)
    con = LiveView(layout.root, limits=limits, store=store, lake=lake).connect(names=names)
    for setting in _SETTINGS:
        con.execute(setting)
    lock_down(con, layout.lake)
    confine.seal(task.memory_bytes_max, statm)
    return con


if __name__ == "__main__":
    exit_code = main()
    # Skip the destructors of DuckDB, Arrow and delta-rs: they only cost time.
    os._exit(exit_code)
