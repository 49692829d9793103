"""Shipping: copying sealed segments to object storage, and deleting them here after a grace.

A collector's 2xx relies on this machine's disk alone; shipping moves the log on from there. A round

1. recovers orphans, and lists the sealed segments and the promises of their writers;
2. puts each segment under its own name, which never replaces an object, and verifies its size. An
   object of that name with the same content confirms an earlier try. One with another content is a
   problem that stops this segment only: it is neither replaced there nor deleted here;
3. puts the promise of each series, once all segments that it relies on are there; and `ended` once
   a series has no writer and all of it is there (`etl.log.shared_log`);
4. deletes the segments that were copied for `grace_s`, and the folders of ended series. Of a series
   that is written the newest is kept, because recovery reads it.

A failure of the store ends the round, and the next one continues: nothing is deleted before it is
confirmed. Segments that wait take space until the collectors refuse events (disk_free_bytes_min).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from etl import durable
from etl.layout import Layout
from etl.log import safe_time, series, shared_log, shipped, unshipped, upload
from etl.log.format import SERIES_FILE
from etl.log.mirror import key_of
from etl.log.safe_time import Settled
from etl.log.segments import Sealed
from etl.log.shared_log import CLOSED, ENDED
from etl.log.shipped import Mark
from etl.object_store import ObjectStore, ObjectStoreError

_PUT_TIMEOUT_S = 60.0
"""The time in which a segment of the largest size is put, by a slow network too."""
_PARALLEL = 4
_ROUND_SEGMENTS_MAX = 64
_PROMISED_EVERY_S = 1.0
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


@dataclass(slots=True)
class _Progress:
    """The shipper's memory of a series: `at_s` are the times when segments were confirmed.

    `listed_to` is the newest segment of the previous round.
    """

    mark: Mark
    listed_to: int = 0
    is_described: bool = False
    at_s: dict[int, float] = field(default_factory=dict)
    promised_us: int = -1
    promised_at_s: float = -_PROMISED_EVERY_S


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
        self._series: dict[str, _Progress] = {}
        self._stuck: dict[Sealed, str] = {}
        self._stuck_at_s = monotonic_s()

    def round(self) -> Round:
        """Ship what is sealed, at most _ROUND_SEGMENTS_MAX segments. Raises OSError."""
        settled = safe_time.settle(self._layout.log, self._layout.log_lock)
        self._remember(settled)
        to_ship = self._unshipped(settled)
        failures: list[str] = []
        try:
            for name in settled.sealed:
                self._describe(name)
            self._ship(to_ship[:_ROUND_SEGMENTS_MAX])
            self._promise(settled, {item.series for item in self._unshipped(settled)})
        except ObjectStoreError as error:
            failures.append(f"segments cannot be shipped: {error}")
        left = self._unshipped(settled)
        self._mark(settled)
        self._delete(settled)
        found = (*failures, *self._stuck.values())
        unshipped.tell(self._layout, found)
        is_complete = not (left or found or settled.promises)
        return Round(len(to_ship) - len(left), len(left), is_complete, found)

    def _remember(self, settled: Settled) -> None:
        """Begin with the series that are new, and forget those that are gone."""
        for name in settled.sealed:
            if name not in self._series:
                self._series[name] = _Progress(shipped.read(self._layout.log / name))
        self._series = {name: self._series[name] for name in settled.sealed}
        here = {item for listed in settled.sealed.values() for item in listed}
        self._stuck = {item: why for item, why in self._stuck.items() if item in here}
        if self._monotonic_s() - self._stuck_at_s >= _STUCK_S:
            self._stuck, self._stuck_at_s = {}, self._monotonic_s()

    def _unshipped(self, settled: Settled) -> list[Sealed]:
        """Return the segments to ship, of all series in turn."""
        found = [
            item
            for listed in settled.sealed.values()
            for item in listed
            if not self._is_shipped(item) and item not in self._stuck
        ]
        return sorted(found, key=lambda item: item.number)

    def _is_shipped(self, item: Sealed) -> bool:
        progress = self._series[item.series]
        return item.number <= progress.mark.upto or item.number in progress.at_s

    def _describe(self, name: str) -> None:
        progress = self._series[name]
        if progress.is_described or progress.mark.has_ended:
            return
        description = (self._layout.log / name / SERIES_FILE).read_bytes()
        self._objects.put(key_of(name, SERIES_FILE), description)
        progress.is_described = True

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
        for name, progress in self._series.items():
            if name in behind or progress.mark.has_ended:
                continue
            if name in settled.dead and name not in stuck:
                self._end(name, progress)
            else:
                # The safe time does not wait for a segment that cannot be shipped.
                self._put_promise(name, settled.promises.get(name, _NO_LINE_IS_OPEN_US))

    def _end(self, name: str, progress: _Progress) -> None:
        self._objects.put(key_of(name, ENDED), b"{}\n")
        progress.mark = Mark(progress.mark.upto, has_ended=True)
        shipped.write(self._layout.log / name, progress.mark)

    def _put_promise(self, name: str, closed_us: int) -> None:
        progress, now_s = self._series[name], self._monotonic_s()
        is_due = now_s - progress.promised_at_s >= _PROMISED_EVERY_S
        if closed_us > progress.promised_us and is_due:
            self._objects.put(key_of(name, CLOSED), shared_log.promise(closed_us))
            progress.promised_us, progress.promised_at_s = closed_us, now_s

    def _mark(self, settled: Settled) -> None:
        """Write the mark of each series of which more segments are shipped.

        A listing may miss a segment that is sealed meanwhile, and show the one after it. So the
        mark of a series that is written passes only what an earlier round has listed.
        """
        for name, listed in settled.sealed.items():
            progress = self._series[name]
            upto = progress.mark.upto
            for item in listed:
                is_new = item.number > progress.listed_to and name not in settled.dead
                if is_new or not self._is_shipped(item):
                    break
                upto = max(upto, item.number)
            progress.listed_to = max((item.number for item in listed), default=0)
            if upto > progress.mark.upto:
                progress.mark = Mark(upto, progress.mark.has_ended)
                shipped.write(self._layout.log / name, progress.mark)

    def _delete(self, settled: Settled) -> None:
        """Delete what was shipped long enough ago."""
        now_s = self._monotonic_s()
        ended = {name for name, item in self._series.items() if item.mark.has_ended}
        for name, listed in settled.sealed.items():
            at_s = self._series[name].at_s
            old = [
                item
                for item in (listed if name in ended else listed[:-1])
                if self._is_shipped(item)
                and now_s - at_s.setdefault(item.number, now_s) >= self._grace_s
            ]
            for item in old:
                item.path.unlink(missing_ok=True)
                at_s.pop(item.number)
            if old:
                durable.fsync_path(self._layout.log / name)
        series.remove_dead(self._layout.log, self._layout.log_lock, ended)
