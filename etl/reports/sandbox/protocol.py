"""The protocol between a sandbox and its worker: a task in, the JSON of an answer out.

stdin: a line of JSON (Task), then the tenants and the products as Arrow streams. stdout: the JSON
of `queries.json_parts`, complete if the exit code is 0. Another exit code is a key of ERRORS, and
the text after the last NUL on stderr is the error's message.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import IO

import pyarrow as pa

from etl.lake.errors import LakeError
from etl.lake.live.names import Names
from etl.reports.sandbox.confine import CannotConfine
from etl.reports.sandbox.only_select import QueryRefused

MARK = "\0"
"""The character before the message of an error."""
ERRORS: Mapping[int, type[Exception]] = MappingProxyType(
    {3: QueryRefused, 4: LakeError, 5: CannotConfine}
)
"""The errors that a worker reports, by exit code."""


@dataclass(frozen=True, slots=True)
class Task:
    """One SELECT, the data folder and the folder of segments that it reads, and its limits."""

    sql: str
    rows_max: int
    data: str
    log: str
    timeout_s: float
    memory_bytes_max: int
    threads_max: int
    versions: Mapping[str, int] = field(default_factory=dict)
    """The versions of the tables; the newest ones of the others."""


def encode(task: Task, names: Names) -> Iterator[bytes]:
    """Yield a task and the directory's names as a worker reads them."""
    yield json.dumps(asdict(task)).encode() + b"\n"
    for table in (names.tenants, names.products):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        yield sink.getvalue().to_pybytes()


def read_task(source: IO[bytes]) -> Task | None:
    """Read a task; None at the end of the stream."""
    line = source.readline()
    return Task(**json.loads(line)) if line else None


def read_names(source: IO[bytes]) -> Names:
    """Read the names that follow a task."""
    tenants, products = (pa.ipc.open_stream(source).read_all() for _ in range(2))
    return Names(tenants, products, time.monotonic())
