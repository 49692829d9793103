"""The few file-system steps that durability is made of.

A file's bytes are durable after its own fsync or fdatasync; its name is durable after an fsync
of its folder. Nothing here swallows an error: after a failed sync the kernel may have dropped
the dirty pages, so a retry proves nothing.

Files and folders are made for their owner alone, and no symbolic link is followed to a file that
is written.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


def write_all(fd: int, data: bytes) -> None:
    """Write every byte at the descriptor's offset; a short write is continued.

    Raises OSError, with ENOSPC when the kernel accepts no byte at all.
    """
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.ENOSPC, "no byte was accepted")
        view = view[written:]


def fsync_path(path: Path) -> None:
    """Sync a file or a folder by name."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(path: Path, data: bytes) -> None:
    """Create or replace `path` so that after a crash it holds the old bytes or the new, whole."""
    temporary = path.with_name(path.name + ".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _FILE_MODE)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    fsync_path(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder whose parent exists, and make its name durable."""
    path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    fsync_path(path.parent)


def make_private(path: Path) -> None:
    """Leave a file or folder to its owner alone; one that is not there, or is a link, stays."""
    if path.exists() and not path.is_symlink():
        path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)


def try_lock(path: Path) -> int | None:
    """Take an exclusive flock on `path`; the descriptor that holds it, or None if it is taken."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive flock on `path`, waiting for it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
