"""Realistic traffic for the demo's street: the beacons of some days, as browsers send them.

A seeded generator that depends on its arguments alone: the same arguments give the same bytes.
Requests come in order of time, and memory is flat for any number of them.

Shoppers arrive along the curve of a Honduran day (quiet nights, peaks at noon and in the evening,
busier weekends and paydays), and a few more every day. A few beacons are sent twice, and a few are
wrong.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import accumulate, count
from random import Random

from service.demo.beacons import Beacon, Sign
from service.demo.shoppers import Crowd, Shopper
from service.demo.shops import Shop
from service.demo.street import NEW_SHOP, OPEN_SHOPS
from service.demo.visits import Visit
from service.replay.request_file import Request

_TEGUCIGALPA = timezone(timedelta(hours=-6))
_HOURS = (
    *(1.2, 0.6, 0.4, 0.3, 0.4, 1.0, 2.2, 3.5, 4.5, 5.0, 5.6, 7.0),
    *(9.0, 8.0, 5.8, 5.2, 5.5, 6.5, 8.0, 9.5, 10.0, 8.5, 5.5, 2.8),
)
_WEEKDAYS = (1.0, 0.95, 1.0, 1.0, 1.1, 1.4, 1.25)
# Wages are paid in the middle and at the end of a month.
_PAYDAYS = frozenset((1, 15, 16, 30, 31))
_PAYDAY = 1.2
_GROWTH = 0.35  # from the first day to the last
_P_OTHER_SHOP = 0.15
_P_COMES_BACK = 0.08
_P_SENT_TWICE = 0.005
_P_MISTAKE = 0.003


def _unsigned(_shop: Shop, _body: bytes) -> Mapping[str, str]:
    return {}


def requests(
    *, events: int, seed: int, end: datetime, days: int = 30, sign: Sign = _unsigned
) -> Iterator[Request]:
    """Yield about `events` requests in order of time, with timestamps in [end - days, end].

    `sign` signs what a shop's server reports; a request is signed when it is taken. The last
    shopper's visit is completed: at least `events` requests, and fewer than fifty more. What would
    occur after `end` is left out.

    Raises ValueError for an `end` without a time zone.
    """
    if end.tzinfo is None:
        raise ValueError("end must have a time zone")
    rng = Random(seed)  # noqa: S311 - a repeatable demo, nothing secret
    curve, crowd = _Curve(end, days), Crowd(rng)
    pending: list[tuple[datetime, int, Beacon]] = []  # a heap: the beacons of visits in progress
    ordinals = count()
    total = 0

    def plan(planned: Iterable[Beacon]) -> int:
        within = [beacon for beacon in planned if beacon.at <= end]
        for beacon in within:
            heapq.heappush(pending, (beacon.at, next(ordinals), beacon))
        return len(within)

    if events:
        total += plan([_only_event(end - timedelta(days=days / 3), rng)])
    while total < events:
        arrival = curve.at(total / events)
        while pending and pending[0][0] <= arrival:
            yield heapq.heappop(pending)[2].signed(sign)
        days_ago = (end - arrival).days
        shopper = crowd.next_shopper()
        shop = _shop_of(shopper, days_ago, rng)
        total += plan(_with_faults(Visit(shopper, shop, arrival, days_ago, rng), rng))
        if rng.random() < _P_COMES_BACK:
            later = arrival + timedelta(hours=rng.uniform(1, 6))
            days_ago = (end - later).days
            if days_ago >= shop.quiet_days:
                visit = Visit(shopper, shop, later, days_ago, rng, comes_back=True)
                total += plan(_with_faults(visit, rng))
    while pending:
        yield heapq.heappop(pending)[2].signed(sign)


def _shop_of(shopper: Shopper, days_ago: int, rng: Random) -> Shop:
    """Return the shop that a shopper visits: mostly the favourite one, never one that is quiet."""
    open_now = [shop for shop in OPEN_SHOPS if days_ago >= shop.quiet_days]
    if shopper.favourite not in open_now or rng.random() < _P_OTHER_SHOP:
        return rng.choice(open_now)
    return shopper.favourite


def _only_event(at: datetime, rng: Random) -> Beacon:
    """Return the one event of the new shop, a view of its first product."""
    shopper = replace(Crowd(rng).next_shopper(), wish=None)
    return next(iter(Visit(shopper, NEW_SHOP, at, 0, rng)))


class _Curve:
    """The distribution of the traffic over a number of days."""

    def __init__(self, end: datetime, days: int) -> None:
        """Begin within the first hour of a day in Honduras, so that a comparison with the days
        before has nothing to compare with."""
        length = max(1, (end - _first_midnight(end - timedelta(days=days))) // timedelta(hours=1))
        start = end - timedelta(hours=length)
        self._hours = [start + timedelta(hours=hour) for hour in range(length)]
        self._busyness = [
            self._busyness_of(hour) * (1 + _GROWTH * place / len(self._hours))
            for place, hour in enumerate(self._hours)
        ]
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
        payday = _PAYDAY if middle.day in _PAYDAYS else 1.0
        return _HOURS[middle.hour] * _WEEKDAYS[middle.weekday()] * payday


def _first_midnight(moment: datetime) -> datetime:
    """Return the first midnight in Honduras that is not before a moment."""
    local = moment.astimezone(_TEGUCIGALPA)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == local else midnight + timedelta(days=1)


def _with_faults(visit: Visit, rng: Random) -> Iterator[Beacon]:
    """Yield the beacons of the visit, and rarely one of them again, or a wrong one."""
    for beacon in visit:
        yield beacon
        if rng.random() < _P_SENT_TWICE:
            yield replace(beacon, at=beacon.at + timedelta(seconds=rng.uniform(1, 20)))
        if rng.random() < _P_MISTAKE:
            yield visit.mistake()
