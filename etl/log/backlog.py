"""Which sealed segments lie above a watermark and may be read: one rule for compaction and view.

Of each series the segments that follow its watermark without a gap and whose files are what
their names say. The first one missing or damaged stops its series, not the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

from etl.log import verification
from etl.log.segments import Sealed


@dataclass(frozen=True, slots=True)
class Stopped:
    """A series that cannot be read on: at which segment, and why."""

    series: str
    segment: int
    reason: str


@dataclass(slots=True)
class Verified:
    """Checks files against the CRC of their names, each sealed segment once: it never changes.

    The count of lines in the name is compared with what is read of them, by staging. Threads may
    share one.
    """

    _intact: set[Sealed] = field(default_factory=set)
    _refused: dict[Sealed, str] = field(default_factory=dict)
    _changing: Lock = field(default_factory=Lock)

    def damage_of(self, segment: Sealed) -> str | None:
        """Why a segment must not be read; None when it may.

        Raises FileNotFoundError when it was deleted meanwhile.
        """
        with self._changing:
            refused, known = self._refused.get(segment), segment in self._intact
        if refused is not None:
            return refused
        if not (known and segment.path.exists()) and not verification.matches_crc(segment):
            return "content is not what the name says"
        with self._changing:
            self._intact.add(segment)
        return None

    def mark_damaged(self, segment: Sealed, reason: str) -> None:
        """Count a segment as damaged although its file is what its name says."""
        with self._changing:
            self._refused[segment] = reason

    def keep_only(self, wanted: set[Sealed]) -> None:
        """Forget the segments that are not in `wanted`."""
        with self._changing:
            self._intact &= wanted
            self._refused = {item: why for item, why in self._refused.items() if item in wanted}


def contiguous(
    sealed: list[Sealed], watermark: int, verified: Verified
) -> Iterator[Sealed | Stopped]:
    """The readable segments of one series above `watermark`, lazily; a Stopped ends them."""
    expected = watermark + 1
    for segment in sealed:
        if segment.number < expected:  # held already, or a rewriting was cut off: there are two
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
    """Every readable segment above the watermarks, and the series that stopped."""
    found = [
        item
        for series, listed in sealed.items()
        for item in contiguous(listed, watermarks[series], verified)
    ]
    readable = [item for item in found if isinstance(item, Sealed)]
    return readable, [item for item in found if isinstance(item, Stopped)]
