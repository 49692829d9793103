"""A backup of a data folder, taken while it is written: itself a data folder, good as it is.

Sealed segments are copied first and one snapshot of each table after, as for the live view: a
segment that was deleted in between is in the snapshot. What is copied is the newest version of the
tables and not the ones before; the open segments (about the last 2 s) and the salts are left out:
a salt that is destroyed must not live on in a backup.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from etl import durable, formats, lake, lake_log, segments
from etl.lake import LakeError, Snapshot
from etl.layout import Layout
from etl.tables import TABLES


class BackupRefused(Exception):
    """There is something at the destination already, or the source cannot be copied."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds."""

    segments: int
    files: int
    rows: int
    bytes: int


def run(data: Path, destination: Path) -> Copied:
    """Copy `data` to `destination`, a folder that does not exist yet; durable when it returns.

    Raises BackupRefused, LakeError, DataFolderError, SeriesFormatError; OSError when a disk
    refuses.
    """
    if destination.exists():
        raise BackupRefused(f"{destination} exists: a backup goes to a new folder")
    source, target = Layout(data.absolute()), Layout(destination.absolute())
    formats.refuse_newer(source)
    target.root.parent.mkdir(parents=True, exist_ok=True)
    target.prepare()
    copied_segments = _copy_segments(source, target)
    snapshots = [_copy_table(source, target, table.name) for table in TABLES]
    _copy_directory(source, target)
    if source.tokens.exists():
        shutil.copy2(source.tokens, target.tokens)
    paths = [path for path in target.root.rglob("*") if path.is_file()]
    for path in [*paths, *(path for path in target.root.rglob("*") if path.is_dir())]:
        durable.make_private(path)
        durable.fsync_path(path)
    durable.fsync_path(target.root)
    files = sum(len(snapshot.files) for snapshot in snapshots)
    rows = sum(file.rows for snapshot in snapshots for file in snapshot.listed())
    return Copied(copied_segments, files, rows, sum(path.stat().st_size for path in paths))


def _copy_segments(source: Layout, target: Layout) -> int:
    copied = 0
    for folder in segments.series_folders(source.log):
        into = target.log / folder.name
        into.mkdir()
        shutil.copy2(folder / segments.SERIES_FILE, into)
        for segment in segments.sealed_in(folder):
            try:
                shutil.copy2(segment.path, into)
            except FileNotFoundError:
                continue  # compacted long ago: the snapshot that is loaded later holds it
            copied += 1
    return copied


def _copy_table(source: Layout, target: Layout, name: str) -> Snapshot:
    table = next(table for table in TABLES if table.name == name)
    folder, into = source.table(name), target.table(name)
    snapshot = lake.load(folder, table)
    if snapshot.version is None:
        return snapshot
    for path in lake_log.up_to(folder, snapshot.version):
        _copy(path, into / lake_log.FOLDER)
    for file in snapshot.listed():
        _copy(folder / file.path, (into / file.path).parent)
    return lake.load(into, table)


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(path, folder)
    except FileNotFoundError as error:
        raise LakeError(f"{path} was deleted while it was copied; run it again") from error


def _copy_directory(source: Layout, target: Layout) -> None:
    if not source.directory_db.exists():
        return
    with (
        closing(sqlite3.connect(source.directory_db)) as of,
        closing(sqlite3.connect(target.directory_db)) as to,
    ):
        of.backup(to)
