"""The names and kinds of the files and folders in a data folder.

Problems: files in place of folders and the reverse, empty files, symbolic links where jobs delete,
names that the program does not make, and a missing checkpoint. It only reads; an OSError is a
problem too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from etl import token_file
from etl.directory import snapshot_file
from etl.directory.entries import DirectoryUnavailable
from etl.goals import GoalError, GoalStore
from etl.lake import delta_log
from etl.lake.tables import PARTITION, TABLES
from etl.layout import Layout
from etl.log import closed, recovery_record, segments, shipped
from etl.log import format as log_format
from etl.upkeep.check.findings import Problem

_IN_SERIES = re.compile(
    rf"\d{{12}}(-n\d+-c[0-9a-f]{{8}}\.ndjson|\.open|\.broken.*)|.*\.tmp"
    rf"|{re.escape(log_format.SERIES_FILE)}|{log_format.LOCK_FILE}|{closed.NAME}|{shipped.NAME}"
    rf"|{re.escape(recovery_record.NAME)}"
)
_DATABASE_START = b"SQLite format 3\0"


def problems(layout: Layout) -> Iterator[Problem]:
    """Yield the problems with names and kinds."""
    for path in layout.links():
        yield Problem("symbolic-link", f"{path}: nothing that it points to may be deleted")
    for part in (_kinds, _log, _lake):
        try:
            yield from part(layout)
        except OSError as error:
            yield Problem("unreadable", f"{error.filename}: {error.strerror}")


def _kinds(layout: Layout) -> Iterator[Problem]:
    for folder in (layout.log, layout.lake, layout.salts):
        if folder.exists() and not folder.is_dir():
            yield Problem("not-a-folder", f"{folder} is not a folder")
    for file in (layout.tokens, layout.directory_db):
        if (file.exists() or file.is_symlink()) and not file.is_file():
            yield Problem("not-a-file", f"{file} is not a file")
    yield from _tokens(layout)
    yield from _goals(layout)
    if layout.directory_snapshot.exists():
        try:
            snapshot_file.verify(layout.directory_snapshot)
        except DirectoryUnavailable as error:
            yield Problem("directory-snapshot-damaged", str(error))
    if layout.directory_db.is_file():
        with layout.directory_db.open("rb") as file_:
            start = file_.read(len(_DATABASE_START))
        if start != _DATABASE_START:
            yield Problem(
                "directory-unreadable", f"{layout.directory_db}: is not an SQLite database"
            )


def _tokens(layout: Layout) -> Iterator[Problem]:
    if layout.tokens.is_file():
        try:
            token_file.read(layout.tokens.read_bytes())
        except token_file.DamagedTokens as error:
            yield Problem("tokens-unreadable", f"{layout.tokens}: {error}")
    elif layout.tokens_made.exists() and not layout.tokens.exists():
        yield Problem("tokens-missing", f"{layout.tokens}: is missing, and tokens were made")


def _goals(layout: Layout) -> Iterator[Problem]:
    try:
        GoalStore(layout.goals).all()
    except GoalError as error:
        yield Problem("goals-unreadable", str(error))


def _log(layout: Layout) -> Iterator[Problem]:
    if not layout.log.is_dir():
        return
    for path in sorted(layout.log.iterdir()):
        if path.is_symlink() or path == layout.log_lock:
            continue
        if not path.is_dir():
            yield Problem("foreign-file", f"{path}: is not part of the log")
        elif not (path / log_format.SERIES_FILE).is_file() and segments.sealed_in(path):
            yield Problem("series-unread", f"{path}: has segments, but no {log_format.SERIES_FILE}")
        else:
            yield from _series(path)


def _series(folder: Path) -> Iterator[Problem]:
    for path in folder.iterdir():
        if path.is_symlink():
            yield Problem("symbolic-link", f"{path}: is not followed")
        elif not _IN_SERIES.fullmatch(path.name):
            yield Problem("foreign-file", f"{path}: is not part of the log")


def _lake(layout: Layout) -> Iterator[Problem]:
    for table in TABLES:
        folder = layout.table(table.name)
        if folder.exists() and not folder.is_dir():
            yield Problem("not-a-folder", f"{folder} is not a folder")
        elif folder.is_dir() and not folder.is_symlink():
            yield from _table(folder)


def _table(folder: Path) -> Iterator[Problem]:
    for path in sorted(folder.iterdir()):
        if path.name == delta_log.FOLDER:
            continue
        if not (path.is_dir() and path.name.startswith(f"{PARTITION}=")):
            yield Problem("foreign-file", f"{path}: is not part of the lake")
            continue
        for file in sorted(path.iterdir()):
            if not file.is_file():
                yield Problem("foreign-file", f"{file}: is not part of the lake")
            elif file.suffix == ".parquet" and not file.stat().st_size:
                yield Problem("lake-file-empty", f"{file} is empty")
    missing = delta_log.missing_checkpoint(folder)
    if missing:
        yield Problem("checkpoint-missing", f"{folder}: {missing}")
