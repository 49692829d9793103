"""The search for a subject in every file of log and lake, which verifies an erasure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from etl.lake import delta_log
from etl.lake.duck import count
from etl.lake.snapshot import Snapshot
from etl.lake.store import LakeStore, LocalLake
from etl.lake.table_store import name_of
from etl.lake.tables import PARTITION, TABLES
from etl.layout import Layout
from etl.upkeep.erasure.subject import Subject


def search(layout: Layout, subject: Subject, lake: LakeStore | None = None) -> list[Path]:
    """Return every file of log and lake that holds the subject, referenced or not.

    `lake`: the lake of the data folder by default. Raises LakeError.
    """
    lake = lake or LocalLake(layout)
    in_log = (path for folder in (layout.log, layout.mirror) for path in _files(folder))
    paths = [path for path in in_log if _has_line(path, subject)]
    paths += _files(layout.shuffle)  # of a killed compaction, if they could not be deleted
    with duckdb.connect() as con:
        for table in TABLES:
            folder = lake.table(table).folder
            paths += _with_rows(con, folder, lake.load(table), subject)
            paths += with_statistics(folder, subject)
    return paths


def with_statistics(folder: Path, subject: Subject) -> Iterator[Path]:
    """Yield the entries and checkpoints of a Delta log whose statistics name the subject."""
    for path in _files(folder / delta_log.FOLDER):
        if any(map(subject.in_statistics, _texts_in(path))):
            yield path


def _texts_in(path: Path) -> list[str]:
    """Return the statistics of a checkpoint, also of one that was set aside; else the lines."""
    if ".parquet" in path.suffixes:
        try:
            return delta_log.statistics_in(path)
        except (OSError, ValueError):  # torn: what is left of it is no table
            pass
    return path.read_text(errors="replace").splitlines()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _has_line(path: Path, subject: Subject) -> bool:
    try:
        with path.open("rb") as file:
            return any(map(subject.has_line, file))
    except FileNotFoundError:
        return False  # sealed or deleted since it was listed; the next run sees its successor


def _with_rows(
    con: duckdb.DuckDBPyConnection, folder: Path, snapshot: Snapshot, subject: Subject
) -> Iterator[Path]:
    """Yield the Parquet files with rows of the subject; each is fetched just before it is read."""
    used = set(map(name_of, snapshot.files))
    here = (name_of(str(path)) for path in folder.glob(f"{PARTITION}=*/*.parquet"))
    for name in sorted(used.union(here)):
        path = folder / name
        if name not in used and not path.exists():
            continue  # a copy that was evicted since it was listed
        relation = snapshot.relation([str(path)])
        if count(con, f"{relation} WHERE {subject.condition(con, snapshot.table, relation)}"):
            yield path
