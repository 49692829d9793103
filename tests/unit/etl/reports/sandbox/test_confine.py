"""The kernel's layers by themselves: DuckDB allowed everything, in a process that is locked in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from etl.reports.sandbox import confine

PROGRAM = """
import _socket, json, os, sys
from pathlib import Path
import duckdb
from etl.reports.sandbox import confine
lake, query = sys.argv[1:3]
statm = os.open("/proc/self/statm", os.O_RDONLY)
confine.read_only([Path(lake), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")])
con = duckdb.connect(config={"threads": 4})
confine.seal(256 << 20, statm)
try:
    said = con.execute(query).fetchall() if query[:3] != "py:" else eval(query[3:])
except (duckdb.Error, OSError, MemoryError) as error:
    said = type(error).__name__
print(json.dumps({"said": said}, default=str))
"""


def locked_in(lake: Path, query: str) -> object:
    """Return the result of a query, or of Python after `py:`, in a process that may read `lake`."""
    command = [sys.executable, "-c", PROGRAM, str(lake), query]
    # As etl.reports.sandbox.process starts it: an arena per thread would use the address space up.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    return json.loads(done.stdout)["said"]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder with a file in it, beside a file of secrets."""
    folder = tmp_path / "lake"
    folder.mkdir()
    (folder / "numbers.csv").write_text("n\n1\n2\n")
    (tmp_path / "tokens.json").write_text("{}")
    return folder


def test_the_lake_can_be_read(lake: Path) -> None:
    assert locked_in(lake, f"SELECT count(*) FROM '{lake}/numbers.csv'") == [[2]]


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{lake}/x.csv'",
        "COPY (FROM range(1000000)) TO '{lake}/x' (FORMAT parquet, PER_THREAD_OUTPUT)",
        "COPY (SELECT 1) TO '{lake}/numbers.csv'",
        "ATTACH '{lake}/new.db'",
        "EXPORT DATABASE '{lake}/dump'",
        "FROM read_text('{lake}/../tokens.json')",
        "FROM read_text('/proc/self/environ')",
        "FROM read_blob('/etc/passwd')",
        "py:open('{lake}/x', 'w')",
        "py:open('{lake}/numbers.csv', 'r+')",
        "py:os.unlink('{lake}/numbers.csv')",
        "py:os.rename('{lake}/numbers.csv', '{lake}/x')",
        "py:os.mkdir('{lake}/x')",
        "py:os.symlink('/etc', '{lake}/x')",
        "py:os.link('{lake}/numbers.csv', '{lake}/x')",
        "py:os.chmod('{lake}/numbers.csv', 0)",
        "py:os.truncate('{lake}/numbers.csv', 0)",
        "py:os.utime('{lake}/numbers.csv')",
        "py:os.kill(os.getppid(), 0)",
        "py:os.fork()",
        "py:os.execv('/bin/true', ['true'])",
        "py:_socket.socket()",
        "py:bytearray(1 << 30)",
    ],
)
def test_nothing_else_is_done(lake: Path, query: str) -> None:
    """By any thread: an error, and the folder as it was."""
    said = locked_in(lake, query.format(lake=lake))
    assert isinstance(said, str)
    assert said.endswith(("Error", "Exception")), said
    assert [path.name for path in lake.iterdir()] == ["numbers.csv"]
    assert (lake / "numbers.csv").read_text() == "n\n1\n2\n"


def test_without_any_layer_nothing_is_run() -> None:
    """One of the two is enough."""
    assert confine.Layers(0, has_seccomp=True)
    with pytest.raises(confine.CannotConfine, match="neither Landlock nor seccomp"):
        confine.Layers(0, has_seccomp=False)
