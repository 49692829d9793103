"""Deleting the data files and Delta log entries that no kept version of a table needs.

delta-rs lists the files to delete; they are deleted here, because delta-rs would also delete the
key files of the files that it keeps. A key file is deleted with its Parquet file.
"""

from __future__ import annotations

from pathlib import Path

from etl import durable
from etl.lake import commits, delta_log
from etl.lake.errors import lake_errors
from etl.lake.keys import format as key_format
from etl.lake.snapshot import Snapshot
from etl.lake.tables import Table


def delete_files(folder: Path, table: Table, *, retention_hours: int) -> int:
    """Delete the files that no version of the last `retention_hours` uses, durably.

    Return the number of data files. The newest version is loaded here: from an older one, delta-rs
    would list files of the newest.
    """
    delta = Snapshot.load(folder, table).delta
    if delta is None:
        return 0
    with lake_errors(table):
        listed = delta.vacuum(
            retention_hours=retention_hours,
            dry_run=True,
            enforce_retention_duration=False,
            full=True,
        )
    unused = [folder / path for path in listed]
    data_files = [path for path in unused if path.suffix != key_format.SUFFIX and path.exists()]
    key_files = {key_format.path_of(path) for path in data_files}
    for path in data_files:
        path.unlink()
    key_files |= {
        path
        for path in unused
        if path.suffix == key_format.SUFFIX and not key_format.data_file_of(path).exists()
    }
    for path in key_files:
        path.unlink(missing_ok=True)
    for partition in {path.parent for path in key_files}:
        durable.fsync_path(partition)
    return len(data_files)


def delete_log_entries(folder: Path, table: Table, *, retention_hours: int, now_s: float) -> int:
    """Delete the Delta log entries that no version of the last hours needs; return their number.

    The oldest version that is needed gets a checkpoint first, which replaces all entries before it.
    """
    needed = delta_log.newest_at(folder, now_s - retention_hours * 3600)
    oldest = delta_log.oldest(folder)
    if needed is None or oldest is None or oldest >= needed:
        return 0
    if needed not in delta_log.checkpoints(folder):
        commits.checkpoint(folder, table, needed)
    return delta_log.delete_before(folder, needed)
