"""Measure how long sealed segments have waited in the log for a compaction.

Times are monotonic. A segment waits from the first time it is observed, because its own times are
those of the wall clock. Compaction makes progress when a segment stops waiting. So it is not
stalled in an idle service, right after a start, or while a large backlog shrinks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock

from etl.log.segments import Sealed

_INTERVALS_MAX = 5
_STALLED_AFTER_MIN_S = 15.0


class TailAge:
    """The age of the observed segments that are not compacted. Thread-safe."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = Lock()
        self._seen_s: dict[tuple[str, int], float] = {}
        self._progress_s = monotonic_s()

    def observe(self, waiting: Iterable[Sealed]) -> None:
        """Update the set of waiting segments to exactly these."""
        waiting_keys = {(item.series, item.number) for item in waiting}
        with self._lock:
            now_s = self._monotonic_s()
            if self._seen_s.keys() - waiting_keys:
                self._progress_s = now_s
            self._seen_s = {key: self._seen_s.get(key, now_s) for key in waiting_keys}

    def oldest_s(self) -> float:
        """Return the seconds that the oldest segment has waited; 0 if none waits."""
        return self._since(0.0)

    def stalled_s(self) -> float:
        """Return the seconds that segments have waited without progress."""
        return self._since(self._progress_s)

    def _since(self, moment_s: float) -> float:
        with self._lock:
            first_s = min(self._seen_s.values(), default=None)
            return 0.0 if first_s is None else self._monotonic_s() - max(first_s, moment_s)

    def why_not_ready(self, compact_interval_s: float) -> list[str]:
        """Return a reason if segments have waited for several intervals without progress."""
        stalled_s = self.stalled_s()
        if stalled_s <= max(_INTERVALS_MAX * compact_interval_s, _STALLED_AFTER_MIN_S):
            return []
        return [
            f"events have waited for {stalled_s:.0f} s to be compacted, which is due every "
            f"{compact_interval_s:g} s"
        ]
