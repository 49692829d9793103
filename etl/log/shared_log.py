"""The log of several machines in object storage, mirrored into a local folder.

Below the prefix, the names are those of a log folder (`etl.log.format`), with two differences:

    <series>/closed                              {"closed_us": …}, the writer's promise
    <series>/ended                               nobody writes the series, and all of it is here
    warehouse                                    see `etl.log.warehouse_claim`

A shipper puts the segments before the promise that relies on them, and `ended` last. So a reader
that fetches the promises first, and lists then, sees every line received before the safe time.

DuckDB and the rest of etl read files. So each listing copies the segments that are new into a
mirror, and deletes the copies of those that are gone: see `etl.log.mirror`.
"""

from __future__ import annotations

import json
import re
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from etl.layout import Layout
from etl.log import rewriting, segments, series, unshipped
from etl.log.format import SERIES_FILE
from etl.log.mirror import SeriesMirror, key_of
from etl.log.rewriting import Entry
from etl.log.safe_time import Settled
from etl.log.segments import Sealed
from etl.log.store import LogUnavailable
from etl.log.unshipped import Unshipped
from etl.log.warehouse_claim import WAREHOUSE, WarehouseClaim, claimant
from etl.object_store import ObjectMissing, ObjectStore, ObjectStoreError

CLOSED, ENDED = "closed", "ended"
_ENDINGS = {CLOSED, ENDED}
_LISTING_TIMEOUT_S = 10.0
"""A report waits for a listing that hangs, so this is less than its timeout."""
_PARALLEL = 4
_SERIES = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


class SharedLog:
    """The segment store (see `etl.log.store`) in object storage. Threads may share it."""

    def __init__(self, objects: ObjectStore, layout: Layout, lake_url: str = "") -> None:
        """Mirror the log in `objects` into a data folder.

        It is compacted into the lake at `lake_url`, or that of the data folder.
        """
        self.folder = layout.mirror
        self._layout = layout
        self._objects = objects
        self._mirrors: dict[str, SeriesMirror] = {}
        self._last: dict[str, list[Sealed]] | None = {}
        self._claim = WarehouseClaim(objects, claimant("lake", lake_url, layout))
        self._lock = threading.Lock()

    def sealed(self) -> dict[str, list[Sealed]]:
        try:
            with self._errors(), self._only_listing():
                self._last = self._listed()
                return self._last
        except LogUnavailable:
            self._last = None
            raise

    def last_sealed(self) -> dict[str, list[Sealed]] | None:
        return self._last

    def _listed(self) -> dict[str, list[Sealed]]:
        # Of a series that is being removed, only what says that it has ended is left.
        listed = {name: names for name, names in self._names().items() if names - _ENDINGS}
        self._clear_others(listed.keys())
        return {name: self._mirror_of(name).update(names) for name, names in listed.items()}

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

    def put(self, series_name: str, number: int, entries: Sequence[Entry]) -> Sealed:
        content = rewriting.encode(series_name, number, entries)
        folder = self.folder / series_name
        sealed = Sealed.in_folder(folder, number, len(entries), zlib.crc32(content))
        with self._errors():
            self._objects.put(key_of(series_name, sealed.path.name), content)
        return sealed

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

    def may_grow(self, series_name: str, /) -> bool:
        with self._errors():
            return ENDED not in self._names().get(series_name, set())

    def _mirror_of(self, name: str) -> SeriesMirror:
        if name not in self._mirrors:
            self._mirrors[name] = SeriesMirror(self._objects, self.folder / name)
        return self._mirrors[name]

    def _clear_others(self, listed: Set[str]) -> None:
        """Clear the mirrors of the series that are gone."""
        for name in {*self._mirrors, *segments.names_in(self.folder)} - listed:
            self._mirror_of(name).clear()
            del self._mirrors[name]

    def _names(self) -> dict[str, set[str]]:
        """Return the names of the objects of each series. Raises NotTheWarehouse."""
        names: dict[str, set[str]] = {}
        for item in self._objects.listed():
            name, _, rest = item.key.partition("/")
            if "/" not in rest and _SERIES.fullmatch(name) and rest:
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

    @contextmanager
    def _only_listing(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LISTING_TIMEOUT_S):
            raise LogUnavailable(
                f"the log cannot be read: {self._objects.name} was listed for more than "
                f"{_LISTING_TIMEOUT_S:g} s; check the network, and try again"
            )
        try:
            yield
        finally:
            self._lock.release()

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


def promise(closed_us: int) -> bytes:
    """Return the content of the object `closed`."""
    content: Mapping[str, int] = {"closed_us": closed_us}
    return json.dumps(content).encode() + b"\n"
