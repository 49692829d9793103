"""A small file that is replaced whole under a lock, and read again whenever it has changed.

The stamp of a file is its modification time, size and inode. The file is read again if its stamp
differs from that of the last read, so a process sees the changes of another one at its next use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from etl import durable

T = TypeVar("T")
_Stamp = tuple[int, int, int]


class StampedFile(Generic[T]):
    """The content of the file at `path`, or `empty` while the file does not exist.

    Every method but `write` raises `error` with one line: the path and the reason. `parse` must
    raise ValueError with the reason if the bytes are damaged.
    """

    def __init__(
        self, path: Path, parse: Callable[[bytes], T], *, empty: T, error: type[Exception]
    ) -> None:
        self._path, self._parse, self._empty, self._error = path, parse, empty, error
        # One value, because a thread may read the file while another one does.
        self._last: tuple[_Stamp | None, T] = (None, empty)

    def exists(self) -> bool:
        """Return whether the file exists now. A dangling link is an error, not a missing file."""
        return self._stamp_now() is not None

    def was_there(self) -> bool:
        """Return whether the file existed at the last `read`."""
        return self._last[0] is not None

    def is_known(self) -> bool:
        """Return whether the content is known; a missing file may exist on other machines."""
        return True

    def pull(self) -> None:
        """Fetch the newest content from object storage, if machines share the file."""

    def read(self) -> T:
        """Return the content, parsed again only if the file has changed."""
        stamp = self._stamp_now()
        last_stamp, content = self._last
        if stamp != last_stamp:
            content = self._parsed() if stamp else self._empty
            self._last = stamp, content
        return content

    def write(self, content: bytes) -> None:
        """Replace the file; only its owner may read it. Use within `changing`. Raises OSError."""
        durable.write_file(self._path, content)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock, for a change that begins with a `read`. An OSError becomes `error`."""
        with self.locked():
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that all writers take; wait for it first. An OSError becomes `error`."""
        try:
            with durable.locked(self._path.with_name(self._path.name + ".lock")):
                yield
        except OSError as error:
            raise self._error(f"{self._path}: {error.strerror or error}") from error

    def _parsed(self) -> T:
        try:
            return self._parse(durable.read_file(self._path))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise self._error(f"{self._path}: {why}") from error

    def _stamp_now(self) -> _Stamp | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            if self._path.is_symlink():
                raise self._error(f"{self._path}: links to a file that is missing") from None
            return None
        except OSError as error:
            raise self._error(f"{self._path}: {error.strerror}") from error
        return status.st_mtime_ns, status.st_size, status.st_ino
