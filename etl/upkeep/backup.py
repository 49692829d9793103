"""Backing up a data folder that is in use. The copy is a data folder too.

The sealed segments are copied first, then one snapshot of each table is pinned, then the segments
that were sealed meanwhile are copied. So a segment that was deleted in between is in the snapshot,
and no watermark of a series is above its copied segments. A restored copy never continues a series
of the original: every start makes a new one.

Only the newest version of each table is copied. The open segments (about the last 2 s) are left
out. So are the salts, because a destroyed salt must not survive in a backup, and the id of the
warehouse, so that a copy that is tried out never deletes segments of object storage.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.lake import delta_log
from etl.lake.errors import LakeError
from etl.lake.keys.format import path_of
from etl.lake.snapshot import Snapshot
from etl.lake.store import LakeStore, LocalLake
from etl.layout import Layout
from etl.log import compatibility, segments, shipped
from etl.log import format as log_format
from etl.log.segments import Sealed
from etl.log.shipped import Mark
from etl.log.store import LocalLog, SegmentStore


class BackupRefused(Exception):
    """The destination exists already."""


@dataclass(frozen=True, slots=True)
class BackupOutcome:
    """The counts of the copied segments, files and rows, and all bytes of the copy."""

    segments: int
    files: int
    rows: int
    bytes: int


def run(
    data: Path,
    destination: Path,
    store: SegmentStore | None = None,
    lake: LakeStore | None = None,
) -> BackupOutcome:
    """Copy `data` to `destination`, which must not exist; the copy is durable on return.

    `store` holds the segments and `lake` the tables; those of the data folder by default. The copy
    has them in its own log and lake. Raises BackupRefused, LakeError, LogUnavailable,
    DataFolderError, SeriesFormatError; OSError.
    """
    if destination.exists():
        raise BackupRefused(f"{destination} exists: a backup goes to a new folder")
    source, target = Layout(data.absolute()), Layout(destination.absolute())
    compatibility.refuse_newer(source)
    target.root.parent.mkdir(parents=True, exist_ok=True)
    target.prepare()
    store = store or LocalLog.of(source)
    _copy_segments(store, target)
    pinned = (lake or LocalLake(source)).newest()
    _copy_segments(store, target)
    if store.folder != source.log:
        _mark_copies(target)
    copied_segments = sum(map(len, segments.sealed_everywhere(target.log).values()))
    snapshots = [_copy_table(target, snapshot) for snapshot in pinned]
    _copy_directory(source, target)
    shared = (source.tokens, source.signing, source.goals)
    # With its mark, a restored file is replaced by the shared one, which may be newer.
    marks = [path.with_name(f"{path.name}.shared") for path in shared]
    for path in (*shared, source.tokens_made, *marks):
        if path.exists():
            shutil.copy2(path, target.root)
    paths = [path for path in target.root.rglob("*") if path.is_file()]
    for path in [*paths, *(path for path in target.root.rglob("*") if path.is_dir())]:
        durable.make_private(path)
        durable.fsync_path(path)
    durable.fsync_path(target.root)
    files = sum(len(snapshot.files) for snapshot in snapshots)
    rows = sum(file.rows for snapshot in snapshots for file in snapshot.listed())
    return BackupOutcome(copied_segments, files, rows, sum(path.stat().st_size for path in paths))


def _copy_segments(store: SegmentStore, target: Layout) -> None:
    """Copy the sealed segments that are not copied yet."""
    for name, listed in store.sealed().items():
        into = target.log / name
        try:
            description = (store.folder / name / log_format.SERIES_FILE).read_bytes()
        except FileNotFoundError:
            continue  # compacted: the snapshot, which is loaded later, holds all its lines
        into.mkdir(exist_ok=True)
        (into / log_format.SERIES_FILE).write_bytes(description)
        for segment in listed:
            _copy_segment(segment, into)


def _mark_copies(target: Layout) -> None:
    """Mark the series, whose machines may live, so that they are not shipped from the copy."""
    for name, listed in segments.sealed_everywhere(target.log).items():
        upto = max((item.number for item in listed), default=0)
        shipped.write(target.log / name, Mark(upto, is_copy=True))


def _copy_segment(segment: Sealed, into: Path) -> None:
    if (into / segment.path.name).exists():
        return
    with suppress(FileNotFoundError):  # compacted, as above
        shutil.copy2(segment.path, into)


def _copy_table(target: Layout, snapshot: Snapshot) -> Snapshot:
    into, store = target.table(snapshot.table.name), snapshot.store
    if snapshot.version is None or store is None:
        return snapshot
    folder = store.folder
    for path in delta_log.up_to(folder, snapshot.version):
        _copy(path, into / delta_log.FOLDER)
    for file in snapshot.listed():
        store.fetch([file.path])
        store.fetch_keys([file.path])
        _copy(folder / file.path, (into / file.path).parent)
        with suppress(FileNotFoundError):  # of an earlier version; maintenance makes it
            shutil.copy2(path_of(folder / file.path), path_of(into / file.path))
    return Snapshot.load(into, snapshot.table)


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(path, folder)
    except FileNotFoundError as error:
        raise LakeError(f"{path} was deleted while it was copied; run the backup again") from error


def _copy_directory(source: Layout, target: Layout) -> None:
    if not source.directory_db.exists():
        return
    with (
        closing(sqlite3.connect(source.directory_db)) as of,
        closing(sqlite3.connect(target.directory_db)) as to,
    ):
        of.backup(to)
