"""Downloads of objects into one folder of temporary files, from which they are moved whole."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from etl.object_store import ObjectMissing, ObjectStore

T = TypeVar("T")
R = TypeVar("R")

_PARALLEL = 8
_LEFT_OVER_AFTER_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Downloads:
    """Objects, and the folder in which their copies become whole. Threads may share it."""

    objects: ObjectStore
    folder: Path

    def sweep(self) -> None:
        """Delete what processes that were killed have left in the folder."""
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime <= _LEFT_OVER_AFTER_S:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    @contextmanager
    def batch(self, keys: Sequence[str]) -> Iterator[list[Path | None]]:
        """Download objects durably; yield the file of each, None for one that does not exist.

        A file that the body does not move is deleted. Raises ObjectStoreError; OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder) as folder:
            paths = [Path(folder, str(number)) for number in range(len(keys))]
            existed = in_parallel(self._download, list(zip(keys, paths, strict=True)))
            yield [path if exists else None for path, exists in zip(paths, existed, strict=True)]

    def copy(self, key: str, path: Path) -> None:
        """Download an object durably to `path`, where it appears whole, if it exists.

        Raises ObjectStoreError; OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / secrets.token_hex(8)
        if self._download((key, temporary)):
            temporary.replace(path)

    def _download(self, item: tuple[str, Path]) -> bool:
        try:
            self.objects.download(*item)
        except ObjectMissing:
            return False
        return True


def in_parallel(run: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return the result for each item; at an error, begin no further ones and raise it."""
    if not items:
        return []
    with ThreadPoolExecutor(min(_PARALLEL, len(items))) as pool:
        return list(pool.map(run, items))
