"""Limits on a connection that runs a report: the folder that it reads, its time and memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from etl.lake.duck import quoted
from etl.lake.errors import LakeError


class ReportTimeout(Exception):
    """The query was interrupted at its time limit."""


def lock_down(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let a connection read files in `folder` only; this cannot be undone."""
    con.execute(f"SET allowed_directories = [{quoted(str(folder.absolute()))}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


@contextmanager
def interrupted_after(con: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt the connection's query after `timeout_s`.

    Raises ReportTimeout; LakeError if the query exceeds the connection's memory.
    """
    timer = threading.Timer(timeout_s, con.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise ReportTimeout(f"the report took longer than {timeout_s:g} s") from error
    except duckdb.OutOfMemoryException as error:
        raise LakeError("the report needs more memory than it may take") from error
    finally:
        timer.cancel()
