"""The limits of a query on a connection: its time and its memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from etl.lake.errors import LakeError


class ReportTimeout(Exception):
    """The query was interrupted at its time limit."""


@contextmanager
def interrupted_after(con: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt the connection's query after `timeout_s`.

    Raises ReportTimeout; LakeError if the query exceeds the connection's memory, or if a file
    cannot be read, because an erasure deletes the files of older snapshots at once.
    """
    timer = threading.Timer(timeout_s, con.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise ReportTimeout(f"the report took longer than {timeout_s:g} s") from error
    except duckdb.OutOfMemoryException as error:
        raise LakeError("the report needs more memory than it may take") from error
    except duckdb.IOException as error:
        raise LakeError(f"a file of the lake cannot be read; ask again: {error}") from error
    finally:
        timer.cancel()
        timer.join()  # a late interruption must not meet the connection's next query
