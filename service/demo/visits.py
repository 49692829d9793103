"""A visit: a shopper views products and then, ever more rarely, asks, fills a cart and buys.

Every event says where the visit came from, as the tracker does; under Global Privacy Control only
the events of the first page do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import orjson

from service.demo.shoppers import Shopper
from service.demo.street import CLOSED_SHOP, OPEN_SHOPS, Product, Shop
from service.demo.weighted import Weighted
from service.replay.request_file import Request

INTERACTIONS = "/api/v1/interactions"
TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
UNKNOWN_PRODUCT_ID = 9_999
UNKNOWN_TYPE = "click"

_HNL_PER_USD = Decimal(26)
_P_OTHER_SHOP = 0.15
_P_CONTACT = 0.30
_P_CART = 0.15
_P_PURCHASE_OF_CART = 0.40
_P_USD = 0.08

# The metadata of a landing page: tagged links, a search, an address typed in.
_LANDINGS: Weighted[Mapping[str, str]] = Weighted(
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
_CONTACTS = Weighted(
    (
        (INTERACTIONS, "whatsapp_click"),
        (INTERACTIONS, "maps_click"),
        (INTERACTIONS, "call_click"),
        (TRACK, "location_view"),
        (TRACK, "social_share"),
    ),
    (60, 13, 10, 9, 8),
)
_VIEWS = Weighted(range(1, 13), (22, 18, 14, 11, 9, 7, 6, 4, 3, 3, 2, 1))
_CRAWLED_VIEWS = Weighted(range(6, 13), (1,) * 7)
_SHELVES = {shop.id: Weighted.zipf(shop.products) for shop in OPEN_SHOPS}


@dataclass(frozen=True, slots=True)
class Beacon:
    """A request and the time at which it is sent."""

    at: datetime
    request: Request


class Visit:
    """The visit of one shopper to one shop: iterating over it yields its beacons in order."""

    def __init__(self, shopper: Shopper, arrival: datetime, rng: Random) -> None:
        """Choose the shop and where the visit comes from."""
        self._shopper = shopper
        self._now = arrival
        self._rng = rng
        goes_elsewhere = rng.random() < _P_OTHER_SHOP
        self._shop = rng.choice(OPEN_SHOPS) if goes_elsewhere else shopper.favourite
        self._source = {} if shopper.is_crawler else _LANDINGS.draw(rng)

    def __iter__(self) -> Iterator[Beacon]:
        """Yield the beacons of the visit."""
        shelf = _SHELVES[self._shop.id]
        views = _CRAWLED_VIEWS if self._shopper.is_crawler else _VIEWS
        for _ in range(views.draw(self._rng)):
            product = shelf.draw(self._rng)
            yield self._event(INTERACTIONS, "view", product, path=self._page_of(product))
            self._leave_page()
            self._wait(mean_s=40)
        if not self._shopper.is_crawler:
            yield from self._decide(product)

    def mistake(self) -> Beacon:
        """Return a beacon that the collector has to reject."""
        return self._rng.choice(
            (self._unknown_product, self._unknown_type, self._closed_shop, self._closed_checkout)
        )()

    def _decide(self, product: Product) -> Iterator[Beacon]:
        if self._rng.random() < _P_CONTACT:
            yield self._event(*_CONTACTS.draw(self._rng), product)
            self._wait(mean_s=60)
        if self._rng.random() < _P_CART:
            yield self._event(TRACK, "cart_add", product)
            self._wait(mean_s=150)
            if self._rng.random() < _P_PURCHASE_OF_CART:
                yield self._purchase(product)

    def _page_of(self, product: Product) -> str:
        return f"/{self._shop.slug}/producto/{product.id}"

    def _leave_page(self) -> None:
        """Forget the source under Global Privacy Control: only the first page knows it."""
        if "Sec-GPC" in self._shopper.headers:
            self._source = {}

    def _event(self, endpoint: str, type_: str, product: Product, **metadata: str) -> Beacon:
        return self._beacon(
            endpoint,
            {
                "tenant_id": self._shop.uuid if endpoint == TRACK else self._shop.id,
                "type": type_,
                "product_id": product.id,
                "metadata": {**self._source, **metadata},
            },
        )

    def _purchase(self, product: Product) -> Beacon:
        quantity = self._rng.choice((1, 1, 1, 1, 2, 2, 3))
        in_usd = self._rng.random() < _P_USD
        price = product.price_hnl / _HNL_PER_USD if in_usd else product.price_hnl
        return self._checkout(
            self._shop,
            value=round(float(price * quantity), 2),
            currency="USD" if in_usd else "HNL",
            product_id=product.id,
            metadata={**self._source, "quantity": quantity},
        )

    def _checkout(self, shop: Shop, **fields: Any) -> Beacon:
        transaction_id = f"{shop.slug}-{self._rng.getrandbits(48):012x}"
        return self._beacon(
            CONVERSION, {"tenant_slug": shop.slug, "transaction_id": transaction_id, **fields}
        )

    def _unknown_product(self) -> Beacon:
        fields = {"type": "cart_add", "product_id": UNKNOWN_PRODUCT_ID}
        return self._beacon(TRACK, {"tenant_id": self._shop.uuid, **fields})

    def _unknown_type(self) -> Beacon:
        return self._beacon(INTERACTIONS, {"tenant_id": self._shop.id, "type": UNKNOWN_TYPE})

    def _closed_shop(self) -> Beacon:
        return self._beacon(TRACK, {"tenant_id": CLOSED_SHOP.uuid, "type": "location_view"})

    def _closed_checkout(self) -> Beacon:
        return self._checkout(CLOSED_SHOP, value=720.0, currency="HNL")

    def _beacon(self, path: str, fields: Mapping[str, Any]) -> Beacon:
        body = {
            **fields,
            "event_id": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "timestamp": self._now.isoformat(timespec="microseconds"),
        }
        return Beacon(self._now, Request(path, self._shopper.headers, orjson.dumps(body)))

    def _wait(self, *, mean_s: float) -> None:
        seconds = 2 + min(self._rng.expovariate(1 / mean_s), 10 * mean_s)
        self._now += timedelta(seconds=seconds)
