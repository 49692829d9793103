"""Downloads of objects into one folder of temporary files, from which they are moved whole."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl.object_store import ObjectMissing, ObjectStore

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
                if time.time() - path.stat().st_mtime > _LEFT_OVER_AFTER_S:
                    path.unlink()

    def get(self, keys: Sequence[str]) -> list[Path | None]:
        """Download objects durably; return the file of each, None for one that does not exist.

        Raises ObjectStoreError; OSError.
        """
        if not keys:
            return []
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(min(_PARALLEL, len(keys))) as pool:
            return list(pool.map(self._get, keys))

    def _get(self, key: str) -> Path | None:
        path = self.folder / secrets.token_hex(8)
        try:
            self.objects.download(key, path)
        except ObjectMissing:
            return None
        return path
