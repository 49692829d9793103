"""A wall clock for deletions that ignores sudden steps forward.

A wall clock that is a year ahead, even for a minute, must not expire a year of data, versions or
salts. Deleting late does no harm. So the trusted time is never ahead of the wall clock, and a step
forward is trusted only after it has lasted a day of the monotonic clock. A step back is trusted at
once. `trusted_after_s` may be shorter than a day where a step can only affect readers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

TRUSTED_AFTER_S = 86_400.0
STEP_S = 60.0
"""A smaller difference between two readings is drift, which is always trusted."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The wall clock's offset from the monotonic clock after a step, and when it was first seen."""

    offset_s: float
    seen_s: float


class _Reading(NamedTuple):
    trusted_s: float
    monotonic_s: float


class TrustedClock:
    """A wall clock that ignores steps forward. One per process; any thread may read it.

    Create it as early as possible, because the first reading is trusted. A process forked later
    continues from it.
    """

    def __init__(
        self,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        trusted_after_s: float = TRUSTED_AFTER_S,
    ) -> None:
        self._trusted_after_s = trusted_after_s
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._last = _Reading(wall_s(), monotonic_s())
        self._step: _Step | None = None

    def doubt_after(self, time_s: float) -> None:
        """Treat a wall clock that is past this time now as stepped forward."""
        now = self._now()
        self._last = _Reading(min(now.trusted_s, time_s), now.monotonic_s)

    def now_s(self) -> float:
        """Return the trusted Unix time, at most the wall clock's."""
        self._last = self._now()
        return self._last.trusted_s

    def _now(self) -> _Reading:
        wall_s, read_s, last = self._wall_s(), self._monotonic_s(), self._last
        expected_s = last.trusted_s + read_s - last.monotonic_s
        step = self._step = self._current_step(wall_s, expected_s, read_s)
        is_doubted = step is not None and read_s - step.seen_s < self._trusted_after_s
        return _Reading(expected_s if is_doubted else wall_s, read_s)

    def _current_step(self, wall_s: float, expected_s: float, read_s: float) -> _Step | None:
        if wall_s - expected_s <= STEP_S:
            return None
        offset_s = wall_s - read_s
        if self._step and abs(offset_s - self._step.offset_s) <= STEP_S:
            return self._step
        return _Step(offset_s, read_s)
