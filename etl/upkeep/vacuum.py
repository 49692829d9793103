"""Deleting the data files and Delta log entries that no kept version of a table needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from etl.lake import commits, delta_log
from etl.lake.snapshot import Snapshot
from etl.lake.tables import PARTITION, Table

_DATA_FILES = f"{PARTITION}=*/*.parquet"


def delete_files(folder: Path, table: Table, *, retention_hours: int) -> int:
    """Delete the files that no version of the last `retention_hours` uses; return their number.

    The newest version is loaded here: from an older one, delta-rs would delete files of the newest.
    """
    delta = Snapshot.load(folder, table).delta
    if delta is None:
        return 0
    before = len(list(folder.glob(_DATA_FILES)))
    vacuum = partial(
        delta.vacuum,
        retention_hours=retention_hours,
        enforce_retention_duration=False,
        full=True,
    )
    if not vacuum(dry_run=True):
        return 0
    with commits.synced(folder, table):
        vacuum(dry_run=False)
    return before - len(list(folder.glob(_DATA_FILES)))


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
