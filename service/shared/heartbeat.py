"""Signs of life: which process of a start serves, and which has stopped to.

In memory that all processes forked afterwards share, each has two moments of the monotonic clock,
which is one for the whole machine: when it was started, stored by the supervisor, and its last
*beat*, stored by its event loop every BEAT_S once it serves. A process that hangs, whatever hangs
it, beats no more.

Invariants:
- a process stores to its own words alone, each an aligned word: no lock;
- a process that has not begun to serve is never called hung: its start may have much to recover;
- an observer that was paused itself, as with the whole machine, blames nobody for that time.
"""

from __future__ import annotations

import asyncio
import mmap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

BEAT_S = 0.5
START_TOLD_AFTER_S = 60.0
"""A start that takes longer is told, as it may hang."""
_PAUSED_AFTER_S = 3.0
_WORD_BYTES = 8
_NEVER = 0.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A process without a beat for `age_s` seconds; not `has_begun`: since its start."""

    process: str
    age_s: float
    has_begun: bool

    def __str__(self) -> str:
        if self.has_begun:
            return f"{self.process} has not answered for {self.age_s:.0f} s"
        return f"{self.process} has not begun to serve for {self.age_s:.0f} s"


class Heartbeats:
    """The moments of some processes. To be made before they are forked."""

    def __init__(
        self, timeouts_s: Mapping[str, float], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeouts_s`: the silence at which a process counts as hung, by its name.

        Raises OSError where there is no memory to share.
        """
        self.timeouts_s = dict(timeouts_s)
        self._slots = {name: slot for slot, name in enumerate(self.timeouts_s)}
        count = max(1, len(self._slots))
        words = memoryview(mmap.mmap(-1, 2 * count * _WORD_BYTES)).cast("d")
        self._started_s, self._beat_s = words[:count], words[count:]
        self._monotonic_s = monotonic_s

    def started(self, process: str) -> None:
        """A process is about to be forked: nothing is expected of it until its first beat."""
        slot = self._slots[process]
        self._beat_s[slot] = _NEVER
        self._started_s[slot] = self._monotonic_s()

    def beat(self, process: str) -> None:
        """The process serves."""
        self._beat_s[self._slots[process]] = self._monotonic_s()

    def keep_beating(self, process: str) -> None:
        """Beat now and every BEAT_S, for as long as the running event loop runs."""
        self.beat(process)
        asyncio.get_running_loop().call_later(BEAT_S, self.keep_beating, process)

    def silences(self, now_s: float) -> list[Silence]:
        """Return how long every process that was started has been silent at `now_s`, monotonic."""
        found = []
        for name, slot in self._slots.items():
            started_s, beat_s = self._started_s[slot], self._beat_s[slot]
            if started_s != _NEVER:
                age_s = max(0.0, now_s - (beat_s or started_s))
                found.append(Silence(name, age_s, has_begun=beat_s != _NEVER))
        return found

    def why_not_ready(self, asked: str) -> list[str]:
        """Return what process `asked` says of the others; from half of their timeout on.

        Measured to its own last beat: after a pause of all of them, it blames none.
        """
        now_s = self._beat_s[self._slots[asked]]
        return [
            str(silence)
            for silence in self.silences(now_s)
            if silence.process != asked and silence.age_s > self._told_after_s(silence)
        ]

    def _told_after_s(self, silence: Silence) -> float:
        return self.timeouts_s[silence.process] / 2 if silence.has_begun else START_TOLD_AFTER_S


class Watch:
    """The supervisor's view: who hangs. To be asked at least every second."""

    def __init__(
        self, heartbeats: Heartbeats, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._heartbeats = heartbeats
        self._monotonic_s = monotonic_s
        self._since_s = self._asked_s = monotonic_s()

    def hung(self) -> list[Silence]:
        """Return the processes that serve no more, by their timeouts.

        Whoever asks after a pause of its own gives all of them their whole timeout again.
        """
        now_s = self._monotonic_s()
        if now_s - self._asked_s > _PAUSED_AFTER_S:
            self._since_s = now_s
        self._asked_s = now_s
        watched_s = now_s - self._since_s
        return [
            silence
            for silence in self._heartbeats.silences(now_s)
            if silence.has_begun
            and min(silence.age_s, watched_s) > self._heartbeats.timeouts_s[silence.process]
        ]

    def slow_starts(self) -> list[Silence]:
        """Return the processes whose start takes longer than START_TOLD_AFTER_S."""
        return [
            silence
            for silence in self._heartbeats.silences(self._monotonic_s())
            if not silence.has_begun and silence.age_s > START_TOLD_AFTER_S
        ]
