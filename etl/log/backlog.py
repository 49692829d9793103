"""The backlog: the sealed segments above a watermark that may be read.

Compaction and the live view share this rule: a series is read from its watermark on, up to the
first segment that is missing or does not match its name. Such a segment stops its own series, not
the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from etl.log import verification
from etl.log.segments import Sealed


@dataclass(frozen=True, slots=True)
class Stopped:
    """A series that cannot be read any further: the segment that stops it, and the reason."""

    series: str
    segment: int
    reason: str


@dataclass(slots=True)
class Verified:
    """The check of each file against the CRC in its name, once, as a sealed segment never changes.

    The count of lines in the name is checked by `etl.lake.staging`, which reads them. Threads may
    share an instance.
    """

    _intact: set[Sealed] = field(default_factory=set)
    _damaged: dict[Sealed, tuple[str, object]] = field(default_factory=dict)
    """The reason, and the state of the file, which differs once it was restored."""
    _lock: Lock = field(default_factory=Lock)

    def damage_of(self, segment: Sealed) -> str | None:
        """Return the reason why a segment must not be read; None for an intact segment.

        Raises FileNotFoundError if it was deleted meanwhile.
        """
        with self._lock:
            marked, is_checked = self._damaged.get(segment), segment in self._intact
        if marked is not None:
            reason, state = marked
            if _state_of(segment.path) == state:
                return reason
            with self._lock:
                self._damaged.pop(segment, None)
        if not (is_checked and segment.path.exists()) and not verification.matches_crc(segment):
            return "content is not what the name says"
        with self._lock:
            self._intact.add(segment)
        return None

    def mark_damaged(self, segment: Sealed, reason: str) -> None:
        """Treat a segment as damaged although its file matches its name, until that is replaced."""
        with self._lock:
            self._intact.discard(segment)
            self._damaged[segment] = reason, _state_of(segment.path)

    def keep_only(self, wanted: set[Sealed]) -> None:
        """Forget the segments that are not in `wanted`."""
        with self._lock:
            self._intact &= wanted
            self._damaged = {item: why for item, why in self._damaged.items() if item in wanted}


def _state_of(path: Path) -> object:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_ctime_ns


def contiguous(
    sealed: list[Sealed], watermark: int, verified: Verified
) -> Iterator[Sealed | Stopped]:
    """Yield the readable segments of one series above `watermark`; a Stopped may be the last."""
    expected = watermark + 1
    for segment in sealed:
        if segment.number < expected:  # in the lake, or the old file of a rewriting that was killed
            continue
        if segment.number != expected:
            yield Stopped(segment.series, expected, "segment is missing")
            return
        reason = verified.damage_of(segment)
        if reason:
            yield Stopped(segment.series, segment.number, reason)
            return
        yield segment
        expected += 1


def above(
    sealed: Mapping[str, list[Sealed]], watermarks: Mapping[str, int], verified: Verified
) -> tuple[list[Sealed], list[Stopped]]:
    """Return every readable segment above the watermarks, and the series that stopped."""
    items = [
        item
        for series, listed in sealed.items()
        for item in contiguous(listed, watermarks[series], verified)
    ]
    readable = [item for item in items if isinstance(item, Sealed)]
    return readable, [item for item in items if isinstance(item, Stopped)]
