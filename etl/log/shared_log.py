"""The log of several machines in object storage, mirrored into a local folder.

Below the prefix, the names are those of a log folder (`etl.log.format`), with two differences:

    <series>/closed                              {"closed_us": …}, the writer's promise
    <series>/ended                               nobody writes the series, and all of it is here
    warehouse                                    see `etl.log.warehouse_claim`

A shipper puts the segments before the promise that relies on them, and `ended` last. So a reader
that fetches the promises first, and lists then, sees every line received before the safe time.

DuckDB and the rest of etl read files. So each listing copies the segments that are new into the
mirror, and deletes the copies of those that are gone. A copy is checked against its name before
its first use.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from etl import durable
from etl.layout import Layout
from etl.log import rewriting, segments, series, unshipped, verification
from etl.log.format import SERIES_FILE
from etl.log.rewriting import Entry
from etl.log.safe_time import Settled
from etl.log.segments import Sealed
from etl.log.store import LogUnavailable
from etl.log.unshipped import Unshipped
from etl.log.warehouse_claim import WAREHOUSE, WarehouseClaim
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore, ObjectStoreError

CLOSED, ENDED = "closed", "ended"
_PARALLEL = 4
_LEFT_OVER_AFTER_S = 3_600.0
"""The age at which a copy that this process never listed counts as left over by an earlier one."""


def key_of(series_name: str, name: str) -> str:
    """Return the key of an object of a series."""
    return f"{series_name}/{name}"


class SharedLog:
    """The segment store (see `etl.log.store`) in object storage. Threads may share it.

    Several processes may share the mirror: a copy appears whole, and in the order of its series.
    """

    def __init__(self, objects: ObjectStore, layout: Layout) -> None:
        """Mirror the log in `objects` into a data folder."""
        self.folder = layout.mirror
        self._layout = layout
        self._objects = objects
        self._intact: set[Sealed] = set()
        self._described: set[str] = set()
        self._claim = WarehouseClaim(objects, layout.warehouse)
        self._lock = threading.Lock()

    def sealed(self) -> dict[str, list[Sealed]]:
        with self._errors(), self._lock:
            names = self._names()
            sealed = {
                name: segments.by_number(
                    segments.sealed_at(self.folder / name / each) for each in listed
                )
                for name, listed in names.items()
                if SERIES_FILE in listed
            }
            for name, listed in sealed.items():
                self._describe(name)
                self._copy(listed)
            wanted = {item for listed in sealed.values() for item in listed}
            self._forget_others(wanted, set(sealed))
            return sealed

    def settle(self) -> Settled:
        with self._errors():
            before = self._names()  # first: a put may create a bucket whose name is wrong
            self._claim.win()
            live = [name for name in before if ENDED not in before[name]]
            with ThreadPoolExecutor(_PARALLEL) as pool:
                promises = dict(zip(live, pool.map(self._promise, live), strict=True))
        sealed = self.sealed()
        # A series that began meanwhile has made no promise that is known here.
        dead = frozenset(before.keys() - promises.keys())
        written = {name: promises.get(name, 0) for name in sealed if name not in dead}
        return Settled(sealed, written, 0, dead, time.time_ns() // 1000)

    def delete(self, unneeded: Sequence[Sealed]) -> None:
        with self._errors():
            self._objects.delete([key_of(item.series, item.path.name) for item in unneeded])
        for item in unneeded:
            item.path.unlink(missing_ok=True)

    def replace(self, old: Sealed, entries: Sequence[Entry]) -> None:
        content = rewriting.encode(old.series, old.number, entries)
        new = Sealed.in_folder(old.path.parent, old.number, len(entries), zlib.crc32(content))
        with self._errors(), suppress(ObjectExists):
            self._objects.put_new(key_of(new.series, new.path.name), content)
        self.delete([old])

    def unshipped(self) -> Unshipped:
        return unshipped.read(self._layout)

    def dead_series(self) -> set[str]:
        with self._errors():
            return {name for name, listed in self._names().items() if ENDED in listed}

    def remove_dead(self, dead: set[str]) -> None:
        with self._errors():
            for name, listed in self._names().items():
                if name in dead and listed <= {SERIES_FILE, CLOSED, ENDED}:
                    # `ended` is last: without it a series with a promise counts as written.
                    self._objects.delete([key_of(name, each) for each in (SERIES_FILE, CLOSED)])
                    self._objects.delete([key_of(name, ENDED)])

    def _names(self) -> dict[str, set[str]]:
        """Return the names of the objects of each series. Raises NotTheWarehouse."""
        names: dict[str, set[str]] = {}
        for item in self._objects.listed():
            name, _, rest = item.key.partition("/")
            if rest:
                names.setdefault(name, set()).add(rest)
            elif name == WAREHOUSE:
                self._claim.verify()
        return names

    def _promise(self, name: str) -> int:
        """Return the promise of a series; 0 if it has made none."""
        try:
            return int(json.loads(self._objects.get(key_of(name, CLOSED)))["closed_us"])
        except ObjectMissing:
            return 0
        except (ValueError, KeyError, TypeError) as error:
            raise LogUnavailable(
                f"{self._objects.name}/{key_of(name, CLOSED)} is no promise of a series; if its "
                "machine runs, its shipper puts a new one"
            ) from error

    def _describe(self, name: str) -> None:
        """Copy the description of a series, and refuse a format that this version cannot read."""
        if name in self._described:
            return
        durable.make_folder(self.folder)
        folder = self.folder / name
        durable.make_folder(folder)
        with suppress(ObjectMissing):  # removed since it was listed
            durable.write_file(folder / SERIES_FILE, self._objects.get(key_of(name, SERIES_FILE)))
            series.check_format(folder)
            self._described.add(name)

    def _copy(self, listed: Sequence[Sealed]) -> None:
        """Copy the segments of a series that are not in the mirror, in the order of their numbers.

        One that was deleted since it was listed is left out, as in a local log.
        """
        missing = [item for item in listed if not self._has(item)]
        for start in range(0, len(missing), _PARALLEL):
            part = missing[start : start + _PARALLEL]
            with ThreadPoolExecutor(len(part)) as pool:
                contents = list(pool.map(self._get, part))
            for item, content in zip(part, contents, strict=True):
                if content is not None:
                    _write(item.path, content)
                    self._has(item)

    def _has(self, item: Sealed) -> bool:
        """Return whether the mirror holds an intact copy of a segment."""
        if item in self._intact and item.path.exists():
            return True
        self._intact.discard(item)
        with suppress(FileNotFoundError):
            if verification.matches_crc(item):
                self._intact.add(item)
        return item in self._intact

    def _get(self, item: Sealed) -> bytes | None:
        try:
            return self._objects.get(key_of(item.series, item.path.name))
        except ObjectMissing:
            return None

    def _forget_others(self, wanted: set[Sealed], described: set[str]) -> None:
        """Delete the copies of segments that are gone, and what earlier processes left."""
        gone, self._intact = self._intact - wanted, self._intact & wanted
        for item in gone:
            item.path.unlink(missing_ok=True)
        self._described &= described
        for folder in _entries(self.folder):
            for path in _entries(folder):
                is_description = path.name == SERIES_FILE and folder.name in described
                if not is_description and segments.sealed_at(path) not in wanted and _is_old(path):
                    path.unlink(missing_ok=True)
            with suppress(OSError):  # it holds files
                folder.rmdir()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ObjectStoreError as error:
            raise LogUnavailable(f"the log cannot be read: {error}") from error
        except series.SeriesFormatError as error:
            raise LogUnavailable(str(error)) from error
        except OSError as error:
            raise LogUnavailable(
                f"{self.folder}: segments cannot be copied to it: {error.strerror}"
            ) from error


def _write(path: Path, content: bytes) -> None:
    """Make a file appear whole. It is not synced, because it is checked before its first use."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _entries(folder: Path) -> list[Path]:
    return [folder / name for name in segments.names_in(folder)]


def _is_old(path: Path) -> bool:
    """Return whether no process can be about to use a file that is not listed any more."""
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _LEFT_OVER_AFTER_S
    return False


def promise(closed_us: int) -> bytes:
    """Return the content of the object `closed`."""
    content: Mapping[str, int] = {"closed_us": closed_us}
    return json.dumps(content).encode() + b"\n"
