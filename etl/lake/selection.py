"""Which lines the next pass of a compaction takes: everything received before one moment.

The moment is at most the safe time (see `etl.log.closed`), and earlier where that would be more
than the budget: then segments are taken in part, and read again by the next pass. How many bytes of
a segment lie before a moment is estimated by its first and last receipt. The budget is never less
than the segment that was received first, so the passes are at most about as many as the segments.
Some line is always taken while there is one before the safe time, and of several with the same
receipt all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from etl.lake.staging import Part
from etl.log import backlog, spans
from etl.log.backlog import Stopped
from etl.log.segments import Sealed
from etl.log.spans import Mark, NoSpan

UNBOUNDED_US = 1 << 62


@dataclass(frozen=True, slots=True)
class Watermarks:
    """What of a series is held already: the last whole segment, and the last line."""

    segment: int
    seq: int


@dataclass(frozen=True, slots=True)
class PassLimits:
    """The time (microseconds since the epoch) before which lines may be taken, and how many bytes
    of them, about. `astray` are series that nobody writes: what they hold from `ahead_us` on was
    stamped by a clock that was set back since. Its order is not known, and it is taken at once."""

    before_us: int
    bytes_max: int
    astray: frozenset[str] = frozenset()
    ahead_us: int = UNBOUNDED_US

    def of(self, rest: _Rest) -> _Rest:
        """The same lines, received at the earliest where they are ahead of every clock."""
        if rest.segment.series not in self.astray or rest.last.received_us < self.ahead_us:
            return rest
        first = replace(rest.first, received_us=0) if rest.first else None
        return replace(rest, first=first, last=replace(rest.last, received_us=0))


@dataclass(slots=True)
class Selection:
    """The lines that a pass takes: of the segments in `parts` those, of the others all.

    `reached` is what a series' marks are afterwards; `completed` counts the segments that end in
    the pass; `stopped` are the series that were found damaged.
    """

    segments: list[Sealed] = field(default_factory=list)
    parts: dict[Sealed, Part] = field(default_factory=dict)
    reached: dict[str, Watermarks] = field(default_factory=dict)
    completed: int = 0
    stopped: list[Stopped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is not held yet of a segment. `first` is None where nothing is left of it.

    `size_bytes` is of what is left, `segment_bytes` of the whole segment.
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
        """How many bytes of it were received before a moment, about."""
        length_us = max(0, self.last.received_us - self.first_us) + 1
        passed_us = min(max(0, moment_us - self.first_us), length_us)
        return self.size_bytes * passed_us // length_us


def choose(
    sealed: Mapping[str, Sequence[Sealed]],
    marks: Mapping[str, Watermarks],
    verified: backlog.Verified,
    limits: PassLimits,
) -> Selection:
    """The lines of the next pass; no segment where there is none to take.

    Raises FileNotFoundError where a segment was deleted meanwhile.
    """
    chosen = Selection()
    streams = [
        _rests(list(listed), marks[series], verified, chosen.stopped)
        for series, listed in sealed.items()
    ]
    dated = (map(limits.of, stream) for stream in streams)
    rests, moment_us = _gather(heapq.merge(*dated, key=lambda rest: rest.first_us), limits)
    by_series: dict[str, list[_Rest]] = {}
    for rest in rests:
        by_series.setdefault(rest.segment.series, []).append(rest)
    for series, listed in by_series.items():
        _take(listed, moment_us, marks[series], chosen)
    return chosen


def _rests(
    sealed: list[Sealed], marks: Watermarks, verified: backlog.Verified, stopped: list[Stopped]
) -> Iterator[_Rest]:
    for item in backlog.contiguous(sealed, marks.segment, verified):
        if isinstance(item, Stopped):
            stopped.append(item)
            return
        try:
            yield _rest(item, marks.seq)
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
    """The segments that have lines before the pass's moment, by their first receipt; and that."""
    gathered: list[_Rest] = []
    over: list[_Rest] = []  # those that may reach beyond the next one's begin
    before_bytes, budget_bytes = 0, limits.bytes_max
    moment_us = limits.before_us
    for rest in rests:
        if rest.first_us >= limits.before_us:
            break
        ended = [one for one in over if one.last.received_us < rest.first_us]
        before_bytes += sum(one.size_bytes for one in ended)
        over = [one for one in over if one.last.received_us >= rest.first_us]
        running = sum(one.bytes_before(rest.first_us) for one in over)
        if gathered and before_bytes + running > budget_bytes:
            moment_us = rest.first_us
            break
        if not gathered:
            budget_bytes = max(budget_bytes, rest.segment_bytes)
        gathered.append(rest)
        over.append(rest)
    return gathered, _moment_within(gathered, moment_us, budget_bytes)


def _moment_within(rests: Sequence[_Rest], latest_us: int, bytes_max: int) -> int:
    """The latest moment up to `latest_us` before which the bytes fit; some line is before it."""

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


def _take(rests: Sequence[_Rest], moment_us: int, marks: Watermarks, chosen: Selection) -> None:
    """Take of a series' segments, in their order, the lines before the moment."""
    series = rests[0].segment.series
    for rest in rests:
        is_whole = rest.first is None or rest.last.received_us < moment_us
        upto = rest.last.seq if is_whole else _last_before(rest, moment_us)
        if rest.first and upto < rest.first.seq:
            return
        chosen.segments.append(rest.segment)
        if not (is_whole and rest.is_all):
            chosen.parts[rest.segment] = Part(rest.above, upto)
        number = rest.segment.number if is_whole else rest.segment.number - 1
        marks = Watermarks(max(marks.segment, number), max(marks.seq, upto))
        chosen.reached[series] = marks
        if not is_whole:
            return
        chosen.completed += 1


def _last_before(rest: _Rest, moment_us: int) -> int:
    mark = spans.line_received_from(rest.segment, moment_us)
    return mark.seq - 1 if mark else rest.last.seq
