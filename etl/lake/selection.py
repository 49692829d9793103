"""Selecting the lines of a compaction's next pass: all that were received before one moment.

The moment is the safe time (see `etl.log.closed`), or earlier if more bytes than the budget would
lie before it. Then some segments are taken in part, and the next pass reads them again. The bytes
of a segment before a moment are estimated from its first and last receipt. The budget is at least
the size of the segment with the first receipt, so there are at most about as many passes as
segments. While a line lies before the safe time, a pass takes at least one line, and with it all
lines of the same receipt.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from etl.log import backlog, spans
from etl.log.backlog import Stopped
from etl.log.excerpts import Part
from etl.log.segments import Sealed
from etl.log.spans import Mark, NoSpan

UNBOUNDED_US = 1 << 62


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The last segment of a series that the lake holds whole, and the last line that it holds."""

    segment: int
    seq: int


@dataclass(frozen=True, slots=True)
class PassLimits:
    """The time before which lines may be taken, and about how many bytes of them.

    Times are in microseconds since the epoch. `dead` names the dead series: a clock that was set
    back since then stamped their lines from `ahead_us` on. The order of those lines is unknown, so
    they are taken at once.
    """

    before_us: int
    bytes_max: int
    dead: frozenset[str] = frozenset()
    ahead_us: int = UNBOUNDED_US

    def dated(self, rest: _Rest) -> _Rest:
        """Return the same lines; with receipt 0 if a clock that was set back stamped them."""
        if rest.segment.series not in self.dead or rest.last.received_us < self.ahead_us:
            return rest
        first = replace(rest.first, received_us=0) if rest.first else None
        return replace(rest, first=first, last=replace(rest.last, received_us=0))


@dataclass(slots=True)
class Selection:
    """The lines that a pass takes: a part of each segment in `parts`, all of the other segments.

    `reached`: the watermarks of each series after the pass. `completed` counts the segments that
    the lake then holds whole. `stopped` lists the series with a missing or damaged segment.
    """

    segments: list[Sealed] = field(default_factory=list)
    parts: dict[Sealed, Part] = field(default_factory=dict)
    reached: dict[str, Watermarks] = field(default_factory=dict)
    completed: int = 0
    stopped: list[Stopped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Rest:
    """The lines of a segment that the lake does not hold; `first` is None if it holds all.

    `above` is the ordinal of the last line that the lake holds. `size_bytes` is the size of the
    rest, `segment_bytes` that of the whole segment.
    """

    segment: Sealed
    above: int
    first: Mark | None
    last: Mark
    size_bytes: int
    segment_bytes: int

    @property
    def first_us(self) -> int:
        return self.first.received_us if self.first else 0

    @property
    def is_all(self) -> bool:
        return self.first is not None and not self.first.offset

    def bytes_before(self, moment_us: int) -> int:
        """Estimate how many of its bytes were received before a moment."""
        length_us = max(0, self.last.received_us - self.first_us) + 1
        passed_us = min(max(0, moment_us - self.first_us), length_us)
        return self.size_bytes * passed_us // length_us


def choose(
    sealed: Mapping[str, Sequence[Sealed]],
    held: Mapping[str, Watermarks],
    verified: backlog.Verified,
    limits: PassLimits,
) -> Selection:
    """Return the lines of the next pass; no segments if there is nothing to take.

    Raises FileNotFoundError if a segment was deleted meanwhile.
    """
    chosen = Selection()
    streams = [
        _rests(list(listed), held[series], verified, chosen.stopped)
        for series, listed in sealed.items()
    ]
    dated = (map(limits.dated, stream) for stream in streams)
    rests, moment_us = _gather(heapq.merge(*dated, key=lambda rest: rest.first_us), limits)
    by_series: dict[str, list[_Rest]] = {}
    for rest in rests:
        by_series.setdefault(rest.segment.series, []).append(rest)
    for series, listed in by_series.items():
        _take(listed, moment_us, held[series], chosen)
    return chosen


def _rests(
    sealed: list[Sealed], held: Watermarks, verified: backlog.Verified, stopped: list[Stopped]
) -> Iterator[_Rest]:
    for item in backlog.contiguous(sealed, held.segment, verified):
        if isinstance(item, Stopped):
            stopped.append(item)
            return
        try:
            yield _rest(item, held.seq)
        except NoSpan:
            reason = "a line cannot be read"
            verified.mark_damaged(item, reason)
            stopped.append(Stopped(item.series, item.number, reason))
            return


def _rest(segment: Sealed, above: int) -> _Rest:
    span = spans.span_of(segment)
    if span.first.seq > above:
        return _Rest(segment, above, span.first, span.last, span.size_bytes, span.size_bytes)
    first = spans.line_above(segment, above)
    size = span.size_bytes - first.offset if first else 0
    return _Rest(segment, above, first, span.last, size, span.size_bytes)


def _gather(rests: Iterator[_Rest], limits: PassLimits) -> tuple[list[_Rest], int]:
    """Return the segments with lines before the pass's moment, by first receipt, and the moment."""
    gathered: list[_Rest] = []
    overlapping: list[_Rest] = []  # may reach beyond the start of the next segment
    before_bytes, budget_bytes = 0, limits.bytes_max
    moment_us = limits.before_us
    for rest in rests:
        if rest.first_us >= limits.before_us:
            break
        ended = [item for item in overlapping if item.last.received_us < rest.first_us]
        before_bytes += sum(item.size_bytes for item in ended)
        overlapping = [item for item in overlapping if item.last.received_us >= rest.first_us]
        running = sum(item.bytes_before(rest.first_us) for item in overlapping)
        if gathered and before_bytes + running > budget_bytes:
            moment_us = rest.first_us
            break
        if not gathered:
            budget_bytes = max(budget_bytes, rest.segment_bytes)
        gathered.append(rest)
        overlapping.append(rest)
    return gathered, _moment_within(gathered, moment_us, budget_bytes)


def _moment_within(rests: Sequence[_Rest], latest_us: int, bytes_max: int) -> int:
    """Return the latest moment before which at most `bytes_max` lie, and at least one line."""

    def fits(moment_us: int) -> bool:
        return sum(rest.bytes_before(moment_us) for rest in rests) <= bytes_max

    if not rests or fits(latest_us):
        return latest_us
    low, high = rests[0].first_us + 1, max(latest_us, rests[0].first_us + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _take(rests: Sequence[_Rest], moment_us: int, held: Watermarks, chosen: Selection) -> None:
    """Take the lines of a series' segments before the moment, in order."""
    series = rests[0].segment.series
    for rest in rests:
        # Without a first line the lake holds all lines, and only the segment's watermark moves.
        is_whole = rest.first is None or rest.last.received_us < moment_us
        upto, end_byte = _end_of(rest) if is_whole else _end_before(rest, moment_us)
        if rest.first and upto < rest.first.seq:
            return
        chosen.segments.append(rest.segment)
        if not (is_whole and rest.is_all):
            first_byte = rest.first.offset if rest.first else end_byte
            chosen.parts[rest.segment] = Part(rest.above, upto, first_byte, end_byte)
        number = rest.segment.number if is_whole else rest.segment.number - 1
        held = Watermarks(max(held.segment, number), max(held.seq, upto))
        chosen.reached[series] = held
        if not is_whole:
            return
        chosen.completed += 1


def _end_of(rest: _Rest) -> tuple[int, int]:
    """Return the ordinal of the segment's last line, and the offset behind it."""
    return rest.last.seq, rest.segment_bytes


def _end_before(rest: _Rest, moment_us: int) -> tuple[int, int]:
    """Return the ordinal of the last line before a moment, and the offset behind it."""
    mark = spans.line_received_from(rest.segment, moment_us)
    return (mark.seq - 1, mark.offset) if mark else _end_of(rest)
