"""How long events have waited in the log for a compaction, by a clock that nobody steps.

A segment waits from when it was first seen uncompacted; its own times are the wall clock's. A
compaction gets further whenever one that waited waits no more. So an idle service, a start and a
large backlog that is being worked off are not stalled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock

from etl.log.segments import Sealed

_INTERVALS_MAX = 5
_STALLED_AFTER_MIN_S = 15.0


class TailAge:
    """The age of the uncompacted segments, as far as `observe` is told of them. Thread-safe."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = Lock()
        self._seen_s: dict[tuple[str, int], float] = {}
        self._got_further_s = monotonic_s()

    def observe(self, waiting: Iterable[Sealed]) -> None:
        """Take note of all segments that wait now."""
        found = {(item.series, item.number) for item in waiting}
        with self._lock:
            now_s = self._monotonic_s()
            if self._seen_s.keys() - found:
                self._got_further_s = now_s
            self._seen_s = {key: self._seen_s.get(key, now_s) for key in found}

    def oldest_s(self) -> float:
        """Return how long the oldest has waited; 0 where none waits."""
        return self._since(0.0)

    def stalled_s(self) -> float:
        """Return for how long segments have waited and no compaction got further."""
        return self._since(self._got_further_s)

    def _since(self, moment_s: float) -> float:
        with self._lock:
            first_s = min(self._seen_s.values(), default=None)
            return 0.0 if first_s is None else self._monotonic_s() - max(first_s, moment_s)

    def why_not_ready(self, compact_interval_s: float) -> list[str]:
        """Return the reason, where segments have waited for several intervals."""
        stalled_s = self.stalled_s()
        if stalled_s <= max(_INTERVALS_MAX * compact_interval_s, _STALLED_AFTER_MIN_S):
            return []
        return [
            f"events have waited for {stalled_s:.0f} s to be compacted, which is due every "
            f"{compact_interval_s:g} s"
        ]
