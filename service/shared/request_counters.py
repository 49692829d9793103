"""Requests by route and status, counted over all collectors of a start.

The counters are in shared memory, which is allocated before the processes are forked. Each process
writes to its own slot, so no lock is needed; a reader adds up the slots. A restarted process
continues with the counters of its slot.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from http import HTTPStatus

_OTHER = 0
_STATUSES = (_OTHER, *(status.value for status in HTTPStatus if status >= HTTPStatus.OK))
_INDEX = {status: index for index, status in enumerate(_STATUSES)}
_WORD_BYTES = 8


class RouteCounters:
    """The counters of one route in one process."""

    __slots__ = ("_words",)

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def count(self, status: int) -> None:
        """Count one response."""
        self._words[_INDEX.get(status, _OTHER)] += 1


class RequestCounters:
    """The counters of some routes in up to `processes` processes."""

    def __init__(self, paths: Sequence[str], processes: int) -> None:
        """Allocate the shared memory. Raises OSError if there is none."""
        self._paths = tuple(paths)
        self._processes = processes
        words = len(_STATUSES) * len(self._paths) * processes
        self._words = memoryview(mmap.mmap(-1, words * _WORD_BYTES)).cast("Q")

    def route(self, path: str, slot: int) -> RouteCounters:
        """Return the counters of a route for the process in `slot`, from 0."""
        return RouteCounters(self._row(path, slot))

    def totals(self) -> Iterator[tuple[str, int, int]]:
        """Yield path, status and count of responses; status 0 counts those outside HTTPStatus."""
        for path in self._paths:
            rows = [self._row(path, slot) for slot in range(self._processes)]
            for status, counts in zip(_STATUSES, zip(*rows, strict=True), strict=True):
                if any(counts):
                    yield path, status, sum(counts)

    def _row(self, path: str, slot: int) -> memoryview:
        first = (slot * len(self._paths) + self._paths.index(path)) * len(_STATUSES)
        return self._words[first : first + len(_STATUSES)]
