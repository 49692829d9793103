"""Shipping: copying sealed segments to object storage, and deleting them here after a grace.

A collector's 2xx relies on this machine's disk alone; shipping moves the log on from there. A round

1. recovers orphans, and lists the sealed segments and the promises of their writers. It marks a
   series before it puts anything of it: the folder of a marked series stays until `ended` is put;
2. puts each segment under its own name, which never replaces an object, and verifies its size. An
   object of that name with the same content confirms an earlier try. One with another content is a
   problem that stops this segment only: it is neither replaced there nor deleted here. So is a
   segment that has another name there, because an erasure or a mending replaced it;
3. puts the promise of each series, once all segments that it relies on are there; and `ended` once
   a series has no writer and all of it is there (`etl.log.shared_log`);
4. deletes the segments that were copied for `grace_s`, and the folders of ended series. Of a series
   that is written the newest is kept, because recovery reads it.

If the storage fails, the first three steps end, and the next round continues: nothing is deleted
before it is confirmed. A series that cannot be read is a problem of its own. The series of a backup
(`etl.log.shipped`) belong to other machines and are left alone. Segments that wait take space until
the collectors refuse events (disk_free_bytes_min).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from etl import durable
from etl.layout import Layout
from etl.log import safe_time, segments, series, shared_log, shipped, unshipped, upload
from etl.log.format import SERIES_FILE
from etl.log.mirror import key_of
from etl.log.progress import Progress
from etl.log.safe_time import Settled
from etl.log.segments import Sealed
from etl.log.shared_log import CLOSED, ENDED
from etl.log.shipped import Mark
from etl.object_store import ObjectStore, ObjectStoreError

_PUT_TIMEOUT_S = 60.0
"""The time in which a segment of the largest size is put, by a slow network too."""
_PARALLEL = 4
_ROUND_SEGMENTS_MAX = 64
_BEHIND_SEGMENTS = 1_000
_PROMISED_EVERY_S = 1.0
_LOOKED_EVERY_S = 30.0
"""The time after which a series is listed again, to learn what others replaced or deleted."""
_STUCK_S = 30.0
"""The time after which segments with a problem are tried again."""
_NO_LINE_IS_OPEN_US = 1 << 62


def destination(url: str) -> ObjectStore:
    """Return the object storage to which segments are shipped."""
    return ObjectStore.open(url, timeout_s=_PUT_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Round:
    """The result of a round: the number of segments shipped, and of those that wait.

    `is_complete`: nobody writes here, and object storage holds everything. `problems` say what
    cannot be shipped, and why.
    """

    shipped: int
    waiting: int
    is_complete: bool
    problems: tuple[str, ...]


class Shipper:
    """Ships the log of one data folder. The caller is the only shipper of the folder."""

    def __init__(
        self,
        layout: Layout,
        objects: ObjectStore,
        *,
        grace_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout, self._objects = layout, objects
        self._grace_s, self._monotonic_s = grace_s, monotonic_s
        self._series: dict[str, Progress] = {}
        self._stuck: dict[Sealed, str] = {}
        self._stuck_at_s = monotonic_s()

    def round(self) -> Round:
        """Ship what is sealed, at most _ROUND_SEGMENTS_MAX segments. Raises OSError."""
        try:
            settled, refused = safe_time.settle_each(self._layout.log, self._layout.log_lock)
        except OSError as error:
            unshipped.tell(self._layout, [str(error)])
            raise
        problems = [f"a series is not shipped: {error}" for error in refused]
        for name in settled.sealed.keys() - self._series.keys():
            problems += _failure(partial(self._begin, name))
        settled = self._remember(settled)
        to_ship = self._unshipped(settled)
        problems += _failure(partial(self._copy, settled, to_ship))
        left = self._unshipped(settled)
        for name, listed in settled.sealed.items():
            self._series[name].advance(listed, is_written=name not in settled.dead)
        # First delete: on a full disk, that makes the space for the marks.
        for step in (self._delete, self._mark, self._remove_ended):
            problems += _failure(partial(step, settled))
        found = (*problems, *self._stuck.values())
        unshipped.tell(self._layout, (*found, *_behind(left)))
        is_complete = not (left or found or settled.promises)
        return Round(len(to_ship) - len(left), len(left), is_complete, found)

    def _remember(self, settled: Settled) -> Settled:
        """Forget the series that are gone; return what is settled, without copies."""
        here = {name: listed for name, listed in settled.sealed.items() if name in self._series}
        self._series = {name: self._series[name] for name in here}
        own = {name: here[name] for name in here if not self._series[name].mark.is_copy}
        segments_here = {item for listed in own.values() for item in listed}
        self._stuck = {item: why for item, why in self._stuck.items() if item in segments_here}
        if self._monotonic_s() - self._stuck_at_s >= _STUCK_S:
            self._stuck, self._stuck_at_s = {}, self._monotonic_s()
        return replace(settled, sealed=own)

    def _begin(self, name: str) -> None:
        """Mark a series, so that its writer leaves its folder until it has ended there."""
        folder = self._layout.log / name
        with durable.locked(self._layout.log_lock):
            if not folder.exists():
                return  # released since it was listed, without a line
            if not (folder / shipped.NAME).exists():
                shipped.write(folder, Mark())
        mark = shipped.read(folder)
        self._series[name] = Progress(mark, written=mark)

    def _unshipped(self, settled: Settled) -> list[Sealed]:
        """Return the segments to ship, of all series in turn."""
        found = [
            item
            for name, listed in settled.sealed.items()
            for item in listed
            if not self._series[name].is_shipped(item) and item not in self._stuck
        ]
        return sorted(found, key=lambda item: item.number)

    def _copy(self, settled: Settled, to_ship: Sequence[Sealed]) -> None:
        """Put segments, then what relies on them. Raises ObjectStoreError, OSError."""
        for name in settled.sealed:
            self._look(name)
        for item in to_ship:
            other = self._series[item.series].other_name(item)
            if other is not None:
                self._stuck[item] = upload.replaced(self._objects, item, other)
        self._ship([item for item in to_ship if item not in self._stuck][:_ROUND_SEGMENTS_MAX])
        self._promise(settled, {item.series for item in self._unshipped(settled)})

    def _look(self, name: str) -> None:
        """Put the description of a series, and learn which segments are there."""
        progress, now_s = self._series[name], self._monotonic_s()
        if progress.mark.has_ended or now_s - progress.looked_at_s < _LOOKED_EVERY_S:
            return
        folder = self._layout.log / name
        self._objects.put(key_of(name, SERIES_FILE), (folder / SERIES_FILE).read_bytes())
        names = {item.key.rpartition("/")[2] for item in self._objects.listed(f"{name}/")}
        there = segments.by_number(segments.sealed_at(folder / each) for each in names)
        progress.names = {item.number: item.path.name for item in there}
        progress.looked_at_s = now_s

    def _ship(self, to_ship: Sequence[Sealed]) -> None:
        """Ship segments. Raises ObjectStoreError, after those that did succeed are remembered."""
        for start in range(0, len(to_ship), _PARALLEL):
            part = to_ship[start : start + _PARALLEL]
            with ThreadPoolExecutor(len(part)) as pool:
                tries = [(item, pool.submit(upload.put, self._objects, item)) for item in part]
            for item, attempt in tries:
                if attempt.exception() is None:
                    self._confirm(item, attempt.result())
            for _, attempt in tries:
                attempt.result()

    def _confirm(self, item: Sealed, problem: str | None) -> None:
        if problem is None:
            self._series[item.series].at_s[item.number] = self._monotonic_s()
        else:
            self._stuck[item] = problem

    def _promise(self, settled: Settled, behind: set[str]) -> None:
        """Put the promises and the ends of the series that have no segment to ship."""
        stuck = {item.series for item in self._stuck}
        for name, listed in settled.sealed.items():
            progress = self._series[name]
            if name in behind or progress.mark.has_ended:
                continue
            if name in settled.dead and name not in stuck:
                self._objects.put(key_of(name, ENDED), b"{}\n")
                progress.end(listed)
            else:
                # The safe time does not wait for a segment that cannot be shipped.
                self._put_promise(name, settled.promises.get(name, _NO_LINE_IS_OPEN_US))

    def _put_promise(self, name: str, closed_us: int) -> None:
        progress, now_s = self._series[name], self._monotonic_s()
        is_due = now_s - progress.promised_at_s >= _PROMISED_EVERY_S
        if closed_us > progress.promised_us and is_due:
            self._objects.put(key_of(name, CLOSED), shared_log.promise(closed_us))
            progress.promised_us, progress.promised_at_s = closed_us, now_s

    def _delete(self, settled: Settled) -> None:
        """Delete what was shipped long enough ago."""
        now_s = self._monotonic_s()
        for name, listed in settled.sealed.items():
            progress = self._series[name]
            old = [
                item
                for item in (listed if progress.mark.has_ended else listed[:-1])
                if progress.is_shipped(item)
                and now_s - progress.at_s.setdefault(item.number, now_s) >= self._grace_s
            ]
            for item in old:
                item.path.unlink(missing_ok=True)
            for item in old:  # two files may have one number
                progress.at_s.pop(item.number, None)
            if old:
                durable.fsync_path(self._layout.log / name)

    def _mark(self, settled: Settled) -> None:
        """Write the marks that have changed."""
        for name in settled.sealed:
            progress = self._series[name]
            if progress.mark != progress.written:
                shipped.write(self._layout.log / name, progress.mark)
                progress.written = progress.mark

    def _remove_ended(self, settled: Settled) -> None:
        """Remove the folders of ended series that are empty."""
        ended = {name for name in settled.sealed if self._series[name].mark.has_ended}
        series.remove_dead(self._layout.log, self._layout.log_lock, ended)


def _behind(left: Sequence[Sealed]) -> list[str]:
    """Return a warning if many segments wait, although none of them fails."""
    if len(left) < _BEHIND_SEGMENTS:
        return []
    return [
        f"more than {_BEHIND_SEGMENTS:,} segments wait to be shipped; unless they become fewer, "
        "object storage or the way to it is too slow for the events of this machine"
    ]


def _failure(step: Callable[[], None]) -> list[str]:
    """Run a step of a round, and return why it failed, if it did."""
    try:
        step()
    except (ObjectStoreError, OSError) as error:
        return [f"segments cannot be shipped: {error}"]
    return []
