"""Durable steps on files and folders.

A file's bytes are durable after its own fsync or fdatasync; its name is durable after an fsync of
its folder. Nothing here ignores an error: after a failed sync the kernel may have dropped the dirty
pages, so a retry proves nothing.

Only the owner may read the files and folders made here, and nothing is written through a symbolic
link.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


def write_all(fd: int, data: bytes) -> None:
    """Write every byte at the descriptor's offset, continuing after a short write.

    Raises OSError, with ENOSPC when the kernel accepts no byte at all.
    """
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.ENOSPC, "no byte was accepted")
        view = view[written:]


def fsync_path(path: Path) -> None:
    """Sync a file or a folder. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_file(path: Path) -> bytes:
    """Return the bytes of a file. Raises OSError, also if it is not a regular file."""
    if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
        raise OSError(errno.EINVAL, "is not a regular file")
    return path.read_bytes()


def write_file(path: Path, data: bytes) -> None:
    """Create or replace `path` atomically: after a crash it holds all old or all new bytes."""
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
    """Make a folder, unless it exists, and sync its name. The parent must exist. Raises OSError."""
    path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    fsync_path(path.parent)


def make_private(path: Path) -> None:
    """Restrict a file or folder to its owner; ignore a missing path and a symbolic link."""
    if path.exists() and not path.is_symlink():
        path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)


def try_lock(path: Path) -> int | None:
    """Take an exclusive flock on `path`; return its descriptor, or None if it is taken."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for an exclusive flock on `path`, and hold it during the body."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
