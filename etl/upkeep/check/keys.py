"""The verification of key files: their bytes, and that they hold the keys of their Parquet files.

A missing key file is no problem, because its Parquet file is read instead and the next maintenance
makes it; it is counted.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from etl.lake.keys import making
from etl.lake.keys.format import KeyFile, KeyFileMissing, KeyFileUnusable, path_of
from etl.lake.snapshot import Snapshot
from etl.upkeep.check.findings import Findings, Problem


def verify(snapshot: Snapshot, findings: Findings) -> None:
    """Verify the key files of a snapshot of `events`; add counts and problems to `findings`."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for data_file in snapshot.files:
            try:
                snapshot.fetch_keys([data_file])
                _verify_file(con, data_file, snapshot.relation([data_file]))
            except KeyFileMissing:
                findings.missing_key_files += 1
            except KeyFileUnusable as error:
                detail = f"{_name(path_of(data_file))}: {error}"
                findings.problems.append(Problem("key-file-damaged", detail))
            except FileNotFoundError:
                continue  # a maintenance run replaced the Parquet file, and deleted it
            except duckdb.Error as error:
                detail = f"{_name(Path(data_file))}: {error}"
                findings.problems.append(Problem("lake-unreadable", detail))
            else:
                findings.key_files += 1


def _verify_file(con: duckdb.DuckDBPyConnection, data_file: str, rows: str) -> None:
    file = KeyFile.open(data_file)
    file.verify()
    header = file.header
    found = (header.hashes, header.first_us, header.last_us, file.total())
    if found != making.facts_of(con, rows):
        raise KeyFileUnusable("it does not hold the keys of its Parquet file")


def _name(path: Path) -> str:
    return "/".join(path.parts[-3:])
