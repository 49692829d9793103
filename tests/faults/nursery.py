"""Runs pytest in forks of one process, which has imported what takes most of its start.

Run as `python -P nursery.py`. Each line on stdin is a JSON array of a folder and the id of a test.
It runs the test in the folder, with the sources of the folder, and prints the exit code of pytest.
"""

from __future__ import annotations

import json
import os
import sys

# For the forks. Of threads, they start those of their allocators alone, which see to forks.
import deltalake  # noqa: F401
import duckdb  # noqa: F401
import hypothesis.stateful  # noqa: F401
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
import pytest
import pytest_timeout  # noqa: F401
import sqlalchemy  # noqa: F401
import tornado.web  # noqa: F401
import xdist.plugin  # noqa: F401

HANG_S = 60
"""A bug may show as a test that never ends."""

NO_ANSWER = 70
# Without pytest's own assertions, which it could not put into modules that are imported already.
OPTIONS = ["-x", "--assert", "plain", "-p", "no:cacheprovider", "--timeout", str(HANG_S)]


def run(folder: str, test: str) -> int:
    """Run one test in a fork; pytest's exit code, or minus the signal that ended it."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = NO_ANSWER
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.chdir(folder)
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = folder
        code = int(pytest.main([*OPTIONS, test]))
    finally:
        os._exit(code)


def main() -> None:
    """Answer line by line until stdin ends."""
    for line in sys.stdin:
        print(run(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
