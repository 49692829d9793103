"""A small file that is replaced whole under a lock, and read again whenever it has changed.

Changed means another stamp: another time of change, size or inode. So a process reads what another
one wrote at its next use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from etl import durable

T = TypeVar("T")
_Stamp = tuple[int, int, int]


class StampedFile(Generic[T]):
    """The file at `path`, or `empty` while there is none.

    Every method raises `error` with the path and why, in one line. `parse` raises ValueError with
    why the bytes are damaged.
    """

    def __init__(
        self, path: Path, parse: Callable[[bytes], T], *, empty: T, error: type[Exception]
    ) -> None:
        self._path, self._parse, self._empty, self._error = path, parse, empty, error
        self._content = empty
        self._stamp: _Stamp | None = None

    def exists(self) -> bool:
        """Whether it is there now. A link to nothing is an error."""
        return self._stamp_now() is not None

    def was_there(self) -> bool:
        """Whether it was there at the last `read`."""
        return self._stamp is not None

    def read(self) -> T:
        """The content."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._content = self._parsed() if stamp else self._empty
            self._stamp = stamp
        return self._content

    def write(self, content: bytes) -> None:
        """Replace it, for its owner alone; within `changing`."""
        durable.write_file(self._path, content)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of those who change it, waiting for it."""
        try:
            with durable.locked(self._path.with_name(self._path.name + ".lock")):
                yield
        except OSError as error:
            raise self._error(f"{self._path}: {error.strerror or os.strerror(0)}") from error

    def _parsed(self) -> T:
        try:
            return self._parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise self._error(f"{self._path}: {why}") from error

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            if self._path.is_symlink():
                raise self._error(f"{self._path}: is a link to nothing") from None
            return None
        except OSError as error:
            raise self._error(f"{self._path}: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size, found.st_ino
