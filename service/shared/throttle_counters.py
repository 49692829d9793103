"""The decisions of the throttle's server, counted over all collectors of a start.

The counters are in shared memory, as those of requests are: each process has words of its own.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

from service.collector.throttle.valkey.tally import Tally, Word

_WORD_BYTES = 8


class ThrottleCounters:
    """The counters of some processes, by name."""

    def __init__(self, processes: Sequence[str]) -> None:
        """Allocate the shared memory. Raises OSError if there is none."""
        self._processes = tuple(processes)
        words = len(Word) * len(self._processes)
        self._words = memoryview(mmap.mmap(-1, words * _WORD_BYTES)).cast("Q")

    def tally(self, slot: int) -> Tally:
        """Return the counters of the process in `slot`, from 0."""
        return Tally(self._row(slot))

    def know_machines(self, machines: int) -> None:
        """Store the number of machines that was known before this start."""
        for slot in range(len(self._processes)):
            self._row(slot)[Word.MACHINES] = machines

    def by_process(self, word: Word) -> Iterator[tuple[str, int]]:
        """Yield the name and the value of each process."""
        for slot, name in enumerate(self._processes):
            yield name, self._row(slot)[word]

    def total(self, word: Word) -> int:
        """Return the sum over all processes."""
        return sum(value for _, value in self.by_process(word))

    def _row(self, slot: int) -> memoryview:
        return self._words[slot * len(Word) : (slot + 1) * len(Word)]
