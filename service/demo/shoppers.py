"""Realistic traffic for the demo's street: who comes, what they look at, how few of them buy.

A seeded generator of beacons as browsers would have sent them over some days. It depends on its
arguments alone: the same ones give the same bytes. Requests come in order of time, and memory is
flat however many are asked for.

Shoppers arrive along the curve of a Honduran day (quiet nights, peaks at noon and in the evening,
busier weekends). Each has an address, a browser and a favourite shop, looks at some products and
then, ever more rarely, asks the shop, fills a cart and pays. Some ask not to be tracked, a few
are crawlers, a few beacons are sent twice, and a few are wrong. Where a visit came from is told as
the tracker tells it: by every event of the visit, under Global Privacy Control by the first page's.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import accumulate, count
from random import Random
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

from service.demo.street import CLOSED_SHOP, OPEN_SHOPS, Product, Shop
from service.replay.client import Request

INTERACTIONS = "/api/v1/interactions"
TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
UNKNOWN_PRODUCT_ID = 9_999
UNKNOWN_TYPE = "click"

_TEGUCIGALPA = timezone(timedelta(hours=-6))
_HOURS = (
    *(1.2, 0.6, 0.4, 0.3, 0.4, 1.0, 2.2, 3.5, 4.5, 5.0, 5.6, 7.0),
    *(9.0, 8.0, 5.8, 5.2, 5.5, 6.5, 8.0, 9.5, 10.0, 8.5, 5.5, 2.8),
)
_WEEKDAYS = (1.0, 0.95, 1.0, 1.0, 1.1, 1.4, 1.25)
_KNOWN_SHOPPERS_MAX = 2_000
_HNL_PER_USD = Decimal(26)

_P_RETURNING = 0.25
_P_BOT = 0.01  # of shoppers; crawlers look at more, so about 2 % of the beacons
_P_DO_NOT_TRACK = 0.05
_P_GLOBAL_PRIVACY_CONTROL = 0.04
_P_OTHER_SHOP = 0.15
_P_CONTACT = 0.30
_P_CART = 0.15
_P_PURCHASE_OF_CART = 0.40
_P_USD = 0.08
_P_SENT_TWICE = 0.005
_P_MISTAKE = 0.003

T = TypeVar("T")


class _Weighted(Generic[T]):
    """Values drawn in proportion to their weights."""

    def __init__(self, values: Sequence[T], weights: Sequence[float]) -> None:
        self._values = values
        self._cumulated = list(accumulate(weights))

    @classmethod
    def zipf(cls, values: Sequence[T]) -> "_Weighted[T]":
        """The n-th value is drawn about n times less often than the first."""
        return cls(values, [rank**-1.1 for rank in range(1, len(values) + 1)])

    def draw(self, rng: Random) -> T:
        return rng.choices(self._values, cum_weights=self._cumulated)[0]


_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15"
_IPHONE_18 = _IPHONE.format("18_5")
_BROWSERS = _Weighted(
    (
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0"
        " Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 14; SM-A155M Build/UP1A.231005.007; wv) {_WEBKIT}"
        " Version/4.0 Chrome/137.0.7151.115 Mobile Safari/537.36 Instagram 386.0.0.45.84 Android",
        f"Mozilla/5.0 (Linux; Android 13; 23053RN02A Build/TP1A.220624.014; wv) {_WEBKIT}"
        " Version/4.0 Chrome/137.0.7151.89 Mobile Safari/537.36"
        " [FB_IAB/FB4A;FBAV/517.0.0.48.109;]",
        f"{_IPHONE_18} (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        f"{_IPHONE.format('17_6_1')} (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        f"{_IPHONE_18} (KHTML, like Gecko) Mobile/15E148 Instagram 385.0.0.33.74",
        f"{_IPHONE_18} (KHTML, like Gecko) CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36"
        " Edg/138.0.0.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
        " (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    ),
    (26, 9, 8, 9, 7, 11, 4, 5, 3, 9, 4, 2, 3),
)
_CRAWLERS = _Weighted(
    (
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_WEBKIT}"
        " Chrome/138.0.7204.49 Mobile Safari/537.36"
        " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ),
    (3, 1),
)
# The metadata of a landing: tagged links, a search, an address that was typed in.
_LANDINGS: _Weighted[Mapping[str, str]] = _Weighted(
    (
        {"source": "instagram"},
        {"source": "facebook", "referrer": "m.facebook.com"},
        {"source": "whatsapp"},
        {"referrer": "www.google.com"},
        {},
        {"source": "tiktok"},
    ),
    (30, 18, 16, 16, 13, 7),
)
_CONTACTS = _Weighted(
    (
        (INTERACTIONS, "whatsapp_click"),
        (INTERACTIONS, "maps_click"),
        (INTERACTIONS, "call_click"),
        (TRACK, "location_view"),
        (TRACK, "social_share"),
    ),
    (60, 13, 10, 9, 8),
)
_VIEWS = _Weighted(range(1, 13), (22, 18, 14, 11, 9, 7, 6, 4, 3, 3, 2, 1))
_CRAWLED_VIEWS = _Weighted(range(6, 13), (1,) * 7)
_SHOPS = _Weighted.zipf(OPEN_SHOPS)
_SHELVES = {shop.id: _Weighted.zipf(shop.products) for shop in OPEN_SHOPS}


def requests(*, events: int, seed: int, end: datetime, days: int = 3) -> Iterator[Request]:
    """About `events` requests, in order of time, with timestamps in [end - days, end].

    It ends after the shopper who makes the number full: at least `events` requests, and fewer
    than fifty more. A visit that would go on after `end` is cut there.

    Raises ValueError for an `end` without a time zone.
    """
    if end.tzinfo is None:
        raise ValueError("end must have a time zone")
    rng = Random(seed)  # noqa: S311 - a repeatable demo, nothing secret
    curve, crowd = _Curve(end, days), _Crowd(rng)
    ahead: list[tuple[datetime, int, Request]] = []  # a heap: what visits in progress will send
    made = count()
    total = 0
    while total < events:
        arrival = curve.at(total / events)
        while ahead and ahead[0][0] <= arrival:
            yield heapq.heappop(ahead)[2]
        for beacon in _with_faults(_Visit(crowd.next_shopper(), arrival, rng), rng):
            if beacon.at <= end:
                heapq.heappush(ahead, (beacon.at, next(made), beacon.request))
                total += 1
    while ahead:
        yield heapq.heappop(ahead)[2]


class _Curve:
    """How a number of days' traffic is spread over them."""

    def __init__(self, end: datetime, days: int) -> None:
        start = end - timedelta(days=days)
        self._hours = [start + timedelta(hours=hour) for hour in range(24 * days)]
        self._busyness = [self._busyness_of(hour) for hour in self._hours]
        self._cumulated = list(accumulate(self._busyness))

    def at(self, share: float) -> datetime:
        """When `share`, in [0, 1), of all the traffic has gone by."""
        target = share * self._cumulated[-1]
        slot = min(bisect_right(self._cumulated, target), len(self._hours) - 1)
        left = self._cumulated[slot] - target
        return self._hours[slot] + timedelta(hours=1) * (1 - left / self._busyness[slot])

    @staticmethod
    def _busyness_of(hour: datetime) -> float:
        middle = (hour + timedelta(minutes=30)).astimezone(_TEGUCIGALPA)
        return _HOURS[middle.hour] * _WEEKDAYS[middle.weekday()]


@dataclass(frozen=True, slots=True)
class _Shopper:
    favourite: Shop
    headers: Mapping[str, str]
    crawls: bool


class _Crowd:
    """The shoppers seen lately, of whom some come back."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._known: list[_Shopper] = []

    def next_shopper(self) -> _Shopper:
        if self._known and self._rng.random() < _P_RETURNING:
            return self._rng.choice(self._known)
        shopper = self._stranger()
        if len(self._known) < _KNOWN_SHOPPERS_MAX:
            self._known.append(shopper)
        else:
            self._known[self._rng.randrange(_KNOWN_SHOPPERS_MAX)] = shopper
        return shopper

    def _stranger(self) -> _Shopper:
        rng = self._rng
        crawls = rng.random() < _P_BOT
        browser = (_CRAWLERS if crawls else _BROWSERS).draw(rng)
        headers = {"X-Forwarded-For": _address(rng), "User-Agent": browser}
        if not crawls:
            headers |= _privacy_wish(rng)
        return _Shopper(_SHOPS.draw(rng), headers, crawls)


def _address(rng: Random) -> str:
    """An address that belongs to nobody: private, or set aside for documentation."""
    kind = rng.random()
    if kind < 0.75:
        return f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    if kind < 0.95:
        return f"2001:db8:{rng.randrange(1, 65536):x}:{rng.randrange(1, 65536):x}::1"
    network = rng.choice(("192.0.2", "198.51.100", "203.0.113"))
    return f"{network}.{rng.randrange(1, 255)}"


def _privacy_wish(rng: Random) -> dict[str, str]:
    wish = rng.random()
    if wish < _P_DO_NOT_TRACK:
        return {"DNT": "1"}
    if wish < _P_DO_NOT_TRACK + _P_GLOBAL_PRIVACY_CONTROL:
        return {"Sec-GPC": "1"}
    return {}


@dataclass(frozen=True, slots=True)
class _Beacon:
    at: datetime
    request: Request


class _Visit:
    """One shopper's way through one shop: iterating over it walks it."""

    def __init__(self, shopper: _Shopper, arrival: datetime, rng: Random) -> None:
        self._shopper = shopper
        self._now = arrival
        self._rng = rng
        strays = rng.random() < _P_OTHER_SHOP
        self._shop = rng.choice(OPEN_SHOPS) if strays else shopper.favourite
        self._came_from = {} if shopper.crawls else _LANDINGS.draw(rng)

    def __iter__(self) -> Iterator[_Beacon]:
        shelf = _SHELVES[self._shop.id]
        views = _CRAWLED_VIEWS if self._shopper.crawls else _VIEWS
        for _ in range(views.draw(self._rng)):
            product = shelf.draw(self._rng)
            yield self._event(INTERACTIONS, "view", product, path=self._page_of(product))
            self._turn_the_page()
            self._linger(mean_s=40)
        if not self._shopper.crawls:
            yield from self._decide(product)

    def mistake(self) -> _Beacon:
        """A beacon that the collector has to turn down."""
        return self._rng.choice(
            (self._unknown_product, self._unknown_type, self._closed_shop, self._closed_checkout)
        )()

    def _decide(self, product: Product) -> Iterator[_Beacon]:
        if self._rng.random() < _P_CONTACT:
            yield self._event(*_CONTACTS.draw(self._rng), product)
            self._linger(mean_s=60)
        if self._rng.random() < _P_CART:
            yield self._event(TRACK, "cart_add", product)
            self._linger(mean_s=150)
            if self._rng.random() < _P_PURCHASE_OF_CART:
                yield self._purchase(product)

    def _page_of(self, product: Product) -> str:
        return f"/{self._shop.slug}/producto/{product.id}"

    def _turn_the_page(self) -> None:
        """Forget, under Global Privacy Control, what only a page's memory holds."""
        if "Sec-GPC" in self._shopper.headers:
            self._came_from = {}

    def _event(self, endpoint: str, type_: str, product: Product, **metadata: str) -> _Beacon:
        return self._beacon(
            endpoint,
            {
                "tenant_id": self._shop.uuid if endpoint == TRACK else self._shop.id,
                "type": type_,
                "product_id": product.id,
                "metadata": {**self._came_from, **metadata},
            },
        )

    def _purchase(self, product: Product) -> _Beacon:
        quantity = self._rng.choice((1, 1, 1, 1, 2, 2, 3))
        in_usd = self._rng.random() < _P_USD
        price = product.price_hnl / _HNL_PER_USD if in_usd else product.price_hnl
        return self._checkout(
            self._shop,
            value=round(float(price * quantity), 2),
            currency="USD" if in_usd else "HNL",
            product_id=product.id,
            metadata={**self._came_from, "quantity": quantity},
        )

    def _checkout(self, shop: Shop, **fields: Any) -> _Beacon:
        transaction_id = f"{shop.slug}-{self._rng.getrandbits(48):012x}"
        return self._beacon(
            CONVERSION, {"tenant_slug": shop.slug, "transaction_id": transaction_id, **fields}
        )

    def _unknown_product(self) -> _Beacon:
        fields = {"type": "cart_add", "product_id": UNKNOWN_PRODUCT_ID}
        return self._beacon(TRACK, {"tenant_id": self._shop.uuid, **fields})

    def _unknown_type(self) -> _Beacon:
        return self._beacon(INTERACTIONS, {"tenant_id": self._shop.id, "type": UNKNOWN_TYPE})

    def _closed_shop(self) -> _Beacon:
        return self._beacon(TRACK, {"tenant_id": CLOSED_SHOP.uuid, "type": "location_view"})

    def _closed_checkout(self) -> _Beacon:
        return self._checkout(CLOSED_SHOP, value=720.0, currency="HNL")

    def _beacon(self, path: str, fields: Mapping[str, Any]) -> _Beacon:
        body = {
            **fields,
            "event_id": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "timestamp": self._now.isoformat(timespec="microseconds"),
        }
        return _Beacon(self._now, Request(path, self._shopper.headers, orjson.dumps(body)))

    def _linger(self, *, mean_s: float) -> None:
        seconds = 2 + min(self._rng.expovariate(1 / mean_s), 10 * mean_s)
        self._now += timedelta(seconds=seconds)


def _with_faults(visit: _Visit, rng: Random) -> Iterator[_Beacon]:
    """The visit's beacons; now and then one arrives a second time, or a wrong one slips in."""
    for beacon in visit:
        yield beacon
        if rng.random() < _P_SENT_TWICE:
            yield _Beacon(beacon.at + timedelta(seconds=rng.uniform(1, 20)), beacon.request)
        if rng.random() < _P_MISTAKE:
            yield visit.mistake()
