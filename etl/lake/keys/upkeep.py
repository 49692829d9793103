"""Key files that are missing or unusable are made again by the jobs that hold the lake's lock.

The Parquet file is read in place of a key file that cannot be made, so its job goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from etl import durable
from etl.lake.keys import making
from etl.lake.keys.format import KeyFile, KeyFileUnusable

log = logging.getLogger(__name__)


def unusable(data_files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the Parquet files without a usable key file, with the reason.

    Only headers are read. Raises FileNotFoundError if a Parquet file does not exist.
    """
    for data_file in data_files:
        try:
            KeyFile.open(data_file)
        except KeyFileUnusable as error:
            yield data_file, str(error)


def remake(con: duckdb.DuckDBPyConnection, data_file: str, rows: str, reason: str) -> bool:
    """Make a key file again, durably, and return whether it was made; log why not.

    `rows`: SQL for the rows of its Parquet file. Raises duckdb.Error.
    """
    path = Path(data_file)
    fields = {"file": data_file, "because": reason}
    try:
        making.write(con, path, making.hashes_of(rows))
        durable.fsync_path(path.parent)
    except OSError as error:
        log.warning("cannot make a key file", extra={"fields": {**fields, "why": str(error)}})
        return False
    log.info("made a key file", extra={"fields": fields})
    return True
