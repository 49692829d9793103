"""The transaction log of a Delta table as files: syncing it, and repairing it after a power cut.

delta-rs links a commit into `_delta_log` without syncing it. So every writer syncs its own commit
(`sync`), and before it builds on a commit that a killed process may have left unsynced, it syncs
that commit too (`sync_newest`). A power cut can therefore tear only the newest entries (one, or the
two of an earlier version's vacuum), and nothing depends on those: segments are deleted only after a
synced commit. `repair` sets aside a torn entry and those after it, and the next compaction writes
the rows again.

Our commits record in their metadata how many files they add and remove and how many watermarks they
move, so a truncated commit is recognised even if it ends between two lines.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from etl import durable

log = logging.getLogger(__name__)

FOLDER = "_delta_log"
SET_ASIDE = ".broken"
_ENTRY = re.compile(r"[0-9]{20}\.json")
_CHECKPOINT = re.compile(r"[0-9]{20}\.checkpoint[\w.-]*\.parquet")
_BOOKS_PREFIX = "beaconlog."
LAST_CHECKPOINT = "_last_checkpoint"
_UNSYNCED_MAX = 2
"""The largest number of commits before a sync: the vacuum of earlier versions made two."""


def metadata(books: Mapping[str, int], *, files: int, removed: int, series: int) -> dict[str, str]:
    """Return the metadata of a commit: its books, and the counts that prove it complete."""
    counts = {**books, "files": files, "removed": removed, "series": series}
    return {f"{_BOOKS_PREFIX}{name}": str(count) for name, count in counts.items()}


def books(table: Path) -> Iterator[tuple[int, dict[str, int]]]:
    """Yield (version, books) of the commits in the log that have books."""
    for path in _commits(table / FOLDER):
        counts = _books_of(_actions(path.read_bytes()))
        if counts:
            yield int(path.stem), counts


def _books_of(actions: list[dict[str, Any]]) -> dict[str, int]:
    return {
        name.removeprefix(_BOOKS_PREFIX): int(count)
        for action in actions
        for name, count in action.get("commitInfo", {}).items()
        if name.startswith(_BOOKS_PREFIX)
    }


def _commits(log_folder: Path) -> list[Path]:
    return sorted(path for path in log_folder.glob("*.json") if is_entry(path.name))


def _actions(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def newest_at(table: Path, time_s: float) -> int | None:
    """Return the newest version committed by a Unix time; None if the log starts later."""
    commits = reversed(_commits(table / FOLDER))
    return next((_version(path) for path in commits if path.stat().st_mtime <= time_s), None)


def newest_commit_s(table: Path) -> float:
    """Return the Unix time of the newest commit; 0 for a log without commits."""
    return max((path.stat().st_mtime for path in _commits(table / FOLDER)[-1:]), default=0.0)


def oldest(table: Path) -> int | None:
    """Return the oldest version whose commit is in the log; None for an empty log."""
    return next((_version(path) for path in _commits(table / FOLDER)), None)


def checkpoints(table: Path) -> list[int]:
    """Return the versions that have a checkpoint, in order."""
    return [_version(path) for path in _commits_and_checkpoints(table / FOLDER)[1]]


def delete_before(table: Path, version: int) -> int:
    """Delete the files before `version`, which has a durable checkpoint; return their number.

    Oldest first, so that a kill leaves no gap: a log with a gap cannot be read.
    """
    commits, all_checkpoints = _commits_and_checkpoints(table / FOLDER)
    old = [path for path in (*commits, *all_checkpoints) if _version(path) < version]
    for path in sorted(old, key=_version):
        path.unlink()
    durable.fsync_path(table / FOLDER)
    return len(old)


def version_of(name: str) -> int:
    """Return the version of an entry or a checkpoint of that name."""
    return int(name.partition(".")[0])


def is_entry(name: str) -> bool:
    """Return whether it is the name of an entry."""
    return _ENTRY.fullmatch(name) is not None


def is_checkpoint(name: str) -> bool:
    """Return whether it is the name of a checkpoint, or of a part of one."""
    return _CHECKPOINT.fullmatch(name) is not None


def _version(path: Path) -> int:
    return version_of(path.name)


def up_to(table: Path, version: int) -> list[Path]:
    """Return the entries and checkpoints of the log that `version` of the table needs."""
    commits, all_checkpoints = _commits_and_checkpoints(table / FOLDER)
    return [path for path in (*commits, *all_checkpoints) if _version(path) <= version]


def missing_checkpoint(table: Path) -> str | None:
    """Return a description of the error in `_last_checkpoint`; None if it is valid or missing."""
    pointer = table / FOLDER / LAST_CHECKPOINT
    try:
        version = int(json.loads(pointer.read_bytes())["version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return f"{LAST_CHECKPOINT} cannot be read"
    if version in checkpoints(table):
        return None
    return f"{LAST_CHECKPOINT} points to version {version}, which has no checkpoint"


def statistics_in(checkpoint: Path) -> list[str]:
    """Return the statistics, as JSON text, of the files that a checkpoint lists."""
    added = pq.read_table(checkpoint, columns=["add"]).column("add").combine_chunks()
    return [text for text in added.field("stats").to_pylist() if text]


# -- syncing ----------------------------------------------------------------------------------


def sync(table: Path, before: frozenset[str]) -> None:
    """Sync the entries that a commit added. `before`: the names that existed before it."""
    _sync_names(table, [name for name in os.listdir(table / FOLDER) if name not in before])


def sync_newest(table: Path) -> None:
    """Sync the newest entries, which a process killed while committing may have left unsynced."""
    commits, all_checkpoints = _commits_and_checkpoints(table / FOLDER)
    newest = [*commits[-_UNSYNCED_MAX:], *all_checkpoints[-1:]]
    _sync_names(table, [path.name for path in newest])
    durable.fsync_path(table)
    durable.fsync_path(table.parent)


def _sync_names(table: Path, names: list[str]) -> None:
    log_folder = table / FOLDER
    wanted = {*names, LAST_CHECKPOINT} if (log_folder / LAST_CHECKPOINT).exists() else {*names}
    for name in wanted:
        durable.fsync_path(log_folder / name)
    durable.fsync_path(log_folder)


def _commits_and_checkpoints(log_folder: Path) -> tuple[list[Path], list[Path]]:
    return _commits(log_folder), sorted(
        path for path in log_folder.glob("*.parquet") if is_checkpoint(path.name)
    )


# -- after a power cut ------------------------------------------------------------------------


def repair(table: Path) -> list[str]:
    """Set aside commits and a checkpoint that a power cut tore; return their names."""
    log_folder = table / FOLDER
    commits, all_checkpoints = _commits_and_checkpoints(log_folder)
    torn = _from_first_torn(commits)
    versions = {path.stem for path in torn}  # a checkpoint is not read without its commit
    bad_checkpoints = [
        path
        for path in all_checkpoints[-1:]
        if path.name.partition(".")[0] in versions or not _is_parquet(path)
    ]
    last_checkpoint = log_folder / LAST_CHECKPOINT
    if bad_checkpoints or not _is_json(last_checkpoint):
        torn += [*bad_checkpoints, last_checkpoint]
    return [path.name for path in torn if _set_aside(path)]


def _from_first_torn(commits: list[Path]) -> list[Path]:
    """Return the commits from the first torn or missing one on, of those that may be unsynced.

    An older commit was synced. If it cannot be read it is damaged, not torn, and its segments may
    be deleted already: only a reader's error tells the operator.
    """
    versions = [_version(path) for path in commits]
    for index, version in enumerate(versions):
        if version <= versions[-1] - _UNSYNCED_MAX:
            continue
        is_after_gap = index > 0 and version != versions[index - 1] + 1
        if is_after_gap or not _is_whole_commit(commits[index]):
            return commits[index:]
    return []


def _is_whole_commit(path: Path) -> bool:
    try:
        actions = _actions(path.read_bytes())
    except ValueError:
        return False
    kinds = Counter(kind for action in actions for kind in action)
    if int(path.stem) == 0:
        return bool(kinds["protocol"] and kinds["metaData"])
    promised = _books_of(actions)
    return (
        bool(actions)
        and kinds["add"] == promised.get("files", kinds["add"])
        and kinds["remove"] == promised.get("removed", kinds["remove"])
        and kinds["txn"] == promised.get("series", kinds["txn"])
    )


def _is_parquet(path: Path) -> bool:
    try:
        pq.read_table(path)
    except (OSError, ValueError):
        return False
    return True


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


def _set_aside(path: Path) -> bool:
    if not path.exists():
        return False
    path.rename(path.with_name(path.name + SET_ASIDE))
    durable.fsync_path(path.parent)
    log.error("set aside a torn lake log entry", extra={"fields": {"path": str(path)}})
    return True
