"""The local copies of one series whose segments are in object storage.

A copy appears whole, after those with smaller numbers, and is checked against its name once per
process: a mirror is never synced. Several processes may share a mirror. A process deletes the
copies that it has used once they are no longer listed. It deletes others only when they are old,
because another process may have made them by a newer listing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from etl import durable
from etl.log import segments, series, verification
from etl.log.format import SERIES_FILE
from etl.log.segments import Sealed
from etl.object_store import ObjectMissing, ObjectStore

_PARALLEL = 4
_LEFT_OVER_AFTER_S = 3_600.0


def key_of(series_name: str, name: str) -> str:
    """Return the key of an object of a series."""
    return f"{series_name}/{name}"


class SeriesMirror:
    """The folder of the copies of one series. One thread at a time uses it."""

    def __init__(self, objects: ObjectStore, folder: Path) -> None:
        self._objects, self._folder = objects, folder
        self._intact: dict[str, Sealed] = {}
        self._is_described = False

    def update(self, listed: Set[str]) -> list[Sealed]:
        """Make the folder hold the segments among these names of objects, and return them.

        A segment that was deleted since it was listed has no copy, as in a local log. Raises
        ObjectStoreError, SeriesFormatError; OSError.
        """
        present = set(segments.names_in(self._folder))
        self._delete_unlisted(listed, present)
        copied = self._intact.keys() & present
        missing = self._named(listed - copied)
        if missing or SERIES_FILE not in present or not self._is_described:
            self._describe()
            self._copy(missing)
        uncopied = (item for item in missing if item.path.name not in self._intact)
        return segments.by_number([*self._intact.values(), *uncopied])

    def clear(self) -> None:
        """Delete the copies of a series that is gone, and the folder once nothing is in it."""
        self._delete_unlisted(frozenset(), set(segments.names_in(self._folder)))
        with suppress(OSError):  # another process may still use what it holds
            self._folder.rmdir()

    def _named(self, names: Iterable[str]) -> list[Sealed]:
        return segments.by_number(segments.sealed_at(self._folder / name) for name in names)

    def _describe(self) -> None:
        """Copy the description of the series, and refuse a format that cannot be read.

        Acknowledged lines without a description are read all the same; a shipper that lives puts it
        again.
        """
        durable.make_folder(self._folder.parent)
        durable.make_folder(self._folder)
        name = self._folder.name
        try:
            description = self._objects.get(key_of(name, SERIES_FILE))
        except ObjectMissing:
            durable.write_file(self._folder / SERIES_FILE, series.description(name))
            return
        durable.write_file(self._folder / SERIES_FILE, description)
        series.check_format(self._folder)
        self._is_described = True

    def _copy(self, missing: Sequence[Sealed]) -> None:
        to_get = [item for item in missing if not self._verify(item)]
        for start in range(0, len(to_get), _PARALLEL):
            part = to_get[start : start + _PARALLEL]
            with ThreadPoolExecutor(len(part)) as pool:
                contents = list(pool.map(self._get, part))
            for item, content in zip(part, contents, strict=True):
                if content is not None:
                    _write(item.path, content)
                    self._verify(item)

    def _verify(self, item: Sealed) -> bool:
        """Return whether there is an intact copy of a segment, and remember it."""
        self._intact.pop(item.path.name, None)
        with suppress(FileNotFoundError):
            if verification.matches_crc(item):
                self._intact[item.path.name] = item
                return True
        return False

    def _get(self, item: Sealed) -> bytes | None:
        try:
            return self._objects.get(key_of(item.series, item.path.name))
        except ObjectMissing:
            return None

    def _delete_unlisted(self, listed: Set[str], present: Set[str]) -> None:
        for name in present - listed:
            path = self._folder / name
            if ".broken" in path.suffixes:
                continue  # bytes that mending took out of a segment
            if self._intact.pop(name, None) or _is_old(path):
                path.unlink(missing_ok=True)
        for name in self._intact.keys() - listed:
            del self._intact[name]


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _is_old(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _LEFT_OVER_AFTER_S
    return False
