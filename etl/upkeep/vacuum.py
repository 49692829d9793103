"""Deleting the data files and Delta log entries that no kept version of a table needs.

delta-rs lists the files to delete; they are deleted here, because delta-rs would also delete the
key files of the files that it keeps. A key file is deleted with its Parquet file.
"""

from __future__ import annotations

from pathlib import Path

from etl.lake import delta_log
from etl.lake.keys import format as key_format
from etl.lake.table_store import TableStore


def delete_files(store: TableStore, *, retention_hours: int) -> int:
    """Delete the files that no version of the last `retention_hours` uses, durably.

    Return the number of data files. Raises LakeError, CommitFailedError.
    """
    unused = store.unused(retention_hours=retention_hours)
    if not unused:
        return 0
    listed_keys = [name for name in unused if name.endswith(key_format.SUFFIX)]
    present = store.present([*unused, *map(_data_file_of, listed_keys)])
    data_files = present.intersection(unused).difference(listed_keys)
    kept = present - data_files
    store.delete(sorted(data_files))
    key_files = {str(key_format.path_of(name)) for name in data_files}
    key_files |= {name for name in listed_keys if _data_file_of(name) not in kept}
    store.delete(sorted(key_files))
    return len(data_files)


def _data_file_of(key_file: str) -> str:
    return str(key_format.data_file_of(Path(key_file)))


def delete_log_entries(store: TableStore, *, retention_hours: int, now_s: float) -> int:
    """Delete the Delta log entries that no version of the last hours needs; return their number.

    The oldest version that is needed gets a checkpoint first, which replaces all entries before it.
    Raises LakeError.
    """
    needed = delta_log.newest_at(store.folder, now_s - retention_hours * 3600)
    oldest = delta_log.oldest(store.folder)
    if needed is None or oldest is None or oldest >= needed:
        return 0
    if needed not in delta_log.checkpoints(store.folder):
        store.checkpoint(needed)
    return store.delete_entries_before(needed)
