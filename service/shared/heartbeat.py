"""Heartbeats: which processes of a start serve, and which of them hang.

Shared memory holds two times per process: its start, stored by the supervisor, and its last *beat*,
stored by its event loop every BEAT_S once it serves. A process that hangs stops beating. Times are
those of the monotonic clock, which is the same for all processes of a machine.

Invariants:
- no lock is needed: each time is one aligned word, with one writer at a time;
- a process that does not serve yet never counts as hung, because recovery may take long;
- an observer that was paused itself, as with the whole machine, does not count that time.
"""

from __future__ import annotations

import asyncio
import mmap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

BEAT_S = 0.5
SLOW_START_S = 60.0
"""A start that takes longer is reported, because it may hang."""
_PAUSED_AFTER_S = 3.0
_WORD_BYTES = 8
_NEVER = 0.0


@dataclass(frozen=True, slots=True)
class Silence:
    """The time since a process's last beat, or since its start if not `has_begun`."""

    process: str
    age_s: float
    has_begun: bool

    def __str__(self) -> str:
        if self.has_begun:
            return f"{self.process} has not answered for {self.age_s:.0f} s"
        return f"{self.process} has not begun to serve for {self.age_s:.0f} s"


class Heartbeats:
    """The starts and beats of some processes. Make it before they are forked."""

    def __init__(
        self, timeouts_s: Mapping[str, float], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Allocate the shared memory.

        `timeouts_s` maps the name of each process to the silence after which it counts as hung.
        Raises OSError if there is no memory.
        """
        self.timeouts_s = dict(timeouts_s)
        self._slots = {name: slot for slot, name in enumerate(self.timeouts_s)}
        count = max(1, len(self._slots))
        words = memoryview(mmap.mmap(-1, 2 * count * _WORD_BYTES)).cast("d")
        self._started_s, self._beat_s = words[:count], words[count:]
        self._monotonic_s = monotonic_s

    def started(self, process: str) -> None:
        """Store the start of a process that is about to be forked, and clear its last beat."""
        slot = self._slots[process]
        self._beat_s[slot] = _NEVER
        self._started_s[slot] = self._monotonic_s()

    def beat(self, process: str) -> None:
        """Store a beat of a process that serves."""
        self._beat_s[self._slots[process]] = self._monotonic_s()

    def keep_beating(self, process: str) -> None:
        """Beat now and every BEAT_S while the current event loop runs."""
        self.beat(process)
        asyncio.get_running_loop().call_later(BEAT_S, self.keep_beating, process)

    def silences(self, now_s: float) -> list[Silence]:
        """Return the silence of every started process at `now_s` (monotonic)."""
        silences = []
        for name, slot in self._slots.items():
            started_s, beat_s = self._started_s[slot], self._beat_s[slot]
            if started_s != _NEVER:
                age_s = max(0.0, now_s - (beat_s or started_s))
                silences.append(Silence(name, age_s, has_begun=beat_s != _NEVER))
        return silences

    def why_not_ready(self, process: str) -> list[str]:
        """Return the long silences of the other processes, as texts.

        Long is half of the timeout, or SLOW_START_S for a process that does not serve yet. A
        silence ends at the last beat of `process`, so a pause of all processes does not count.
        """
        now_s = self._beat_s[self._slots[process]]
        return [
            str(silence)
            for silence in self.silences(now_s)
            if silence.process != process and silence.age_s > self._reported_after_s(silence)
        ]

    def _reported_after_s(self, silence: Silence) -> float:
        return self.timeouts_s[silence.process] / 2 if silence.has_begun else SLOW_START_S


class Watch:
    """The supervisor's view of the heartbeats. Call `hung` at least every second."""

    def __init__(
        self, heartbeats: Heartbeats, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._heartbeats = heartbeats
        self._monotonic_s = monotonic_s
        self._since_s = self._last_call_s = monotonic_s()

    def hung(self) -> list[Silence]:
        """Return the silences that exceed the timeout of their process.

        After a pause between two calls, every process gets its whole timeout again.
        """
        now_s = self._monotonic_s()
        if now_s - self._last_call_s > _PAUSED_AFTER_S:
            self._since_s = now_s
        self._last_call_s = now_s
        watched_s = now_s - self._since_s
        return [
            silence
            for silence in self._heartbeats.silences(now_s)
            if silence.has_begun
            and min(silence.age_s, watched_s) > self._heartbeats.timeouts_s[silence.process]
        ]

    def slow_starts(self) -> list[Silence]:
        """Return the silences of processes that have been starting for more than SLOW_START_S."""
        return [
            silence
            for silence in self._heartbeats.silences(self._monotonic_s())
            if not silence.has_begun and silence.age_s > SLOW_START_S
        ]
