"""The process of one query: imports everything, waits for its question, locks itself in, answers.

    python -m etl.reports.sandbox.child <question >answer

stdin: a line of JSON (see Question), then the tenants and the products as Arrow streams. stdout:
the JSON of the answer, whole where the exit code is 0. Otherwise the last text of stderr after a
NUL says why, and the exit code is a key of REFUSALS. It waits WAIT_S for a question at most.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files as package_files
from pathlib import Path
from types import MappingProxyType
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.dataset  # DuckDB would import it when it can no longer be read

from etl.lake.errors import LakeError
from etl.lake.live.view import Limits, LiveView, Names
from etl.layout import Layout
from etl.reports.limits import lock_down
from etl.reports.sandbox import confine, queries
from etl.reports.sandbox.confine import CannotConfine
from etl.reports.sandbox.only_select import QueryRefused

WAIT_S = 300.0
REFUSED, LAKE_FAILED, UNCONFINED = 3, 4, 5
REFUSALS = MappingProxyType(
    {REFUSED: QueryRefused, LAKE_FAILED: LakeError, UNCONFINED: CannotConfine}
)
"""The errors by exit code."""
_TEXT_MAX = 4_000
# DuckDB looks there for how much memory there is.
_READ_BY_DUCKDB = (Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
_SETTINGS = (
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One SELECT, the data folder that it is about, and its bounds."""

    sql: str
    rows_max: int
    data: str
    timeout_s: float
    memory_bytes_max: int
    threads_max: int


def parts_of(question: Question, names: Names) -> Iterable[bytes]:
    """Yield a question as `main` reads it."""
    yield json.dumps(asdict(question)).encode() + b"\n"
    for table in (names.tenants, names.products):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        yield sink.getvalue().to_pybytes()


def main() -> int:
    """Answer one question; the exit code."""
    confine.end_with_parent()
    if not select.select([sys.stdin], [], [], WAIT_S)[0]:
        return 0
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    question = Question(**json.loads(line))
    signal.setitimer(signal.ITIMER_REAL, question.timeout_s)  # its default action: to end
    try:
        _answer(question, _read_names(sys.stdin.buffer))
    except QueryRefused as error:
        return _told(REFUSED, error)
    except LakeError as error:
        return _told(LAKE_FAILED, error)
    except CannotConfine as error:
        return _told(UNCONFINED, error)
    return 0


def _told(code: int, error: Exception) -> int:
    sys.stderr.write(f"\0{str(error)[:_TEXT_MAX]}")
    sys.stderr.flush()
    return code


def _read_names(source: IO[bytes]) -> Names:
    tenants, products = (pa.ipc.open_stream(source).read_all() for _ in range(2))
    return Names(tenants, products, time.monotonic())


def _answer(question: Question, names: Names) -> None:
    con = _locked_in(question, names)
    for part in queries.json_parts(con, question.sql, question.rows_max):
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def _locked_in(question: Question, names: Names) -> duckdb.DuckDBPyConnection:
    """A live connection of a process that from now on reads the lake and changes nothing."""
    layout = Layout(Path(question.data))
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    pa.scalar(0, pa.timestamp("us", "UTC")).as_py()  # which imports what knows zones
    own = Path(str(package_files("etl.lake")))  # its .sql files are read later
    confine.read_only([layout.lake, layout.log, layout.format_file, own, *_READ_BY_DUCKDB])
    limits = Limits(question.memory_bytes_max, question.threads_max, may_spill=False)
    con = LiveView(layout.root, limits=limits).connect(names=names)
    for setting in _SETTINGS:
        con.execute(setting)
    lock_down(con, layout.lake)
    confine.seal(question.memory_bytes_max, statm)
    return con


if __name__ == "__main__":
    ended = main()
    # Nothing of DuckDB, Arrow or delta-rs is worth the time that its end would take.
    os._exit(ended)
