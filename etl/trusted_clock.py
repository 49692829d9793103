"""The time that deletions go by: the wall clock's, as far as it can be believed.

A wall clock that is a year ahead, if only for a minute, must not expire a year of data, versions or
salts. Deleting late does no harm, so the trusted time is never ahead of the wall clock, and a step
forward is believed only once it has stood for a day of the monotonic clock. A step back is believed
at once. Where nothing but readers are at stake, a shorter time than a day will do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

BELIEVED_AFTER_S = 86_400.0
STEP_S = 60.0
"""A smaller difference between two readings is drift, which is always believed."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The wall clock against the monotonic one since a step, and when that was seen first."""

    offset_s: float
    seen_s: float


class _Reading(NamedTuple):
    believed_s: float
    monotonic_s: float


class TrustedClock:
    """A wall clock that is not led astray by steps. One per process, read in any thread.

    To be made as early as can be: the first reading is believed. A process forked later goes on
    from it.
    """

    def __init__(
        self,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        believed_after_s: float = BELIEVED_AFTER_S,
    ) -> None:
        self._believed_after_s = believed_after_s
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._last = _Reading(wall_s(), monotonic_s())
        self._step: _Step | None = None

    def doubt_after(self, time_s: float) -> None:
        """Count a wall clock that is past this time now as one that was stepped."""
        now = self._now()
        self._last = _Reading(min(now.believed_s, time_s), now.monotonic_s)

    def now_s(self) -> float:
        """Unix time, at most the wall clock's."""
        self._last = self._now()
        return self._last.believed_s

    def _now(self) -> _Reading:
        wall_s, read_s, last = self._wall_s(), self._monotonic_s(), self._last
        expected_s = last.believed_s + read_s - last.monotonic_s
        step = self._step = self._seen(wall_s, expected_s, read_s)
        is_doubted = step is not None and read_s - step.seen_s < self._believed_after_s
        return _Reading(expected_s if is_doubted else wall_s, read_s)

    def _seen(self, wall_s: float, expected_s: float, read_s: float) -> _Step | None:
        if wall_s - expected_s <= STEP_S:
            return None
        offset_s = wall_s - read_s
        if self._step and abs(offset_s - self._step.offset_s) <= STEP_S:
            return self._step
        return _Step(offset_s, read_s)
