"""Realistic traffic for the demo's street: the beacons of some days, as browsers send them.

A seeded generator that depends on its arguments alone: the same arguments give the same bytes.
Requests come in order of time, and memory is flat for any number of them.

Shoppers arrive along the curve of a Honduran day (quiet nights, peaks at noon and in the evening,
busier weekends). A few beacons are sent twice, and a few are wrong.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import accumulate, count
from random import Random

from service.demo.shoppers import Crowd
from service.demo.visits import Beacon, Visit
from service.replay.request_file import Request

_TEGUCIGALPA = timezone(timedelta(hours=-6))
_HOURS = (
    *(1.2, 0.6, 0.4, 0.3, 0.4, 1.0, 2.2, 3.5, 4.5, 5.0, 5.6, 7.0),
    *(9.0, 8.0, 5.8, 5.2, 5.5, 6.5, 8.0, 9.5, 10.0, 8.5, 5.5, 2.8),
)
_WEEKDAYS = (1.0, 0.95, 1.0, 1.0, 1.1, 1.4, 1.25)
_P_SENT_TWICE = 0.005
_P_MISTAKE = 0.003


def requests(*, events: int, seed: int, end: datetime, days: int = 3) -> Iterator[Request]:
    """Yield about `events` requests in order of time, with timestamps in [end - days, end].

    The last shopper's visit is completed: at least `events` requests, and fewer than fifty more. A
    visit that would continue after `end` is cut there.

    Raises ValueError for an `end` without a time zone.
    """
    if end.tzinfo is None:
        raise ValueError("end must have a time zone")
    rng = Random(seed)  # noqa: S311 - a repeatable demo, nothing secret
    curve, crowd = _Curve(end, days), Crowd(rng)
    pending: list[tuple[datetime, int, Request]] = []  # a heap: the requests of visits in progress
    ordinals = count()
    total = 0
    while total < events:
        arrival = curve.at(total / events)
        while pending and pending[0][0] <= arrival:
            yield heapq.heappop(pending)[2]
        for beacon in _with_faults(Visit(crowd.next_shopper(), arrival, rng), rng):
            if beacon.at <= end:
                heapq.heappush(pending, (beacon.at, next(ordinals), beacon.request))
                total += 1
    while pending:
        yield heapq.heappop(pending)[2]


class _Curve:
    """The distribution of the traffic over a number of days."""

    def __init__(self, end: datetime, days: int) -> None:
        start = end - timedelta(days=days)
        self._hours = [start + timedelta(hours=hour) for hour in range(24 * days)]
        self._busyness = [self._busyness_of(hour) for hour in self._hours]
        self._cumulated = list(accumulate(self._busyness))

    def at(self, share: float) -> datetime:
        """Return the time at which `share`, in [0, 1), of all traffic has arrived."""
        target = share * self._cumulated[-1]
        slot = min(bisect_right(self._cumulated, target), len(self._hours) - 1)
        left = self._cumulated[slot] - target
        return self._hours[slot] + timedelta(hours=1) * (1 - left / self._busyness[slot])

    @staticmethod
    def _busyness_of(hour: datetime) -> float:
        middle = (hour + timedelta(minutes=30)).astimezone(_TEGUCIGALPA)
        return _HOURS[middle.hour] * _WEEKDAYS[middle.weekday()]


def _with_faults(visit: Visit, rng: Random) -> Iterator[Beacon]:
    """Yield the beacons of the visit, and rarely one of them again, or a wrong one."""
    for beacon in visit:
        yield beacon
        if rng.random() < _P_SENT_TWICE:
            yield Beacon(beacon.at + timedelta(seconds=rng.uniform(1, 20)), beacon.request)
        if rng.random() < _P_MISTAKE:
            yield visit.mistake()
