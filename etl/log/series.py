"""A series' folder: its description, whether a process writes it, and its removal.

A process that writes a series holds the flock on the series' `lock` file for its whole life. So a
free flock means that nobody writes the series, and nobody will, because no series is ever
continued: the series is *dead*. The caller of a function here holds the log's lock, or passes the
lock as an argument.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl import durable
from etl.log import closed, segments, shipped
from etl.log.format import FORMAT_VERSION, FORMATS_READ, LOCK_FILE, SERIES_FILE

_BARE = {SERIES_FILE, LOCK_FILE, closed.NAME, shipped.NAME}


def description(name: str) -> bytes:
    """Return the content of the description of a series."""
    return json.dumps({"format": FORMAT_VERSION, "series": name}).encode() + b"\n"


class SeriesFormatError(Exception):
    """A series folder is of a format that this version does not read, or has no description."""


def check_format(folder: Path) -> None:
    """Raise SeriesFormatError unless this version reads the series."""
    path = folder / SERIES_FILE
    try:
        version = json.loads(path.read_bytes()).get("format")
    except FileNotFoundError:
        return  # its series was removed meanwhile
    except (ValueError, AttributeError) as error:
        raise SeriesFormatError(f"{path}: not a series description") from error
    if version not in FORMATS_READ:
        readable = " and ".join(map(str, FORMATS_READ))
        raise SeriesFormatError(f"{path}: format {version}, this version reads {readable}")


@contextmanager
def if_dead(folder: Path) -> Iterator[bool]:
    """Yield whether the series is dead; if so, hold its flock during the body."""
    lock_fd = durable.try_lock(folder / LOCK_FILE)
    try:
        yield lock_fd is not None
    finally:
        if lock_fd is not None:
            os.close(lock_fd)


def dead_series(log_folder: Path, lock: Path) -> set[str]:
    """Return the names of the dead series."""
    dead = set()
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            with if_dead(folder) as is_dead:
                if is_dead:
                    dead.add(folder.name)
    return dead


def remove_dead(log_folder: Path, lock: Path, dead: set[str]) -> None:
    """Remove the folders of dead series that hold no segment and nothing set aside."""
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            with if_dead(folder) as is_dead:
                if is_dead and folder.name in dead:
                    remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove the folder of a series that holds no line and nothing else worth keeping.

    The caller holds the log's lock and the series' own. The description is deleted last, because
    without it a folder that a kill leaves is no longer listed as a series.
    """
    names = set(segments.names_in(folder))
    if folder.is_symlink() or not names <= _BARE:
        return
    for name in sorted(names, key=lambda name: name == SERIES_FILE):
        (folder / name).unlink()
    folder.rmdir()
    durable.fsync_path(folder.parent)
