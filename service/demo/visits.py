"""A visit: a shopper views pages and then, ever more rarely, asks, fills a cart and buys.

Every event says where the visit came from, as the tracker does; under Global Privacy Control only
those of the first page do. The page reports the sale of a cart, and a shop's server reports it
again, signed, as the plugin of the integration guide does: the signed sale counts, in the visit
that the page knows. Who asks in WhatsApp may buy there, hours or days later: only the server
reports that sale, with the short ref of the click that the chat began with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from service.demo import beacons, countries, origins, pages
from service.demo.beacons import CONVERSION, INTERACTIONS, TRACK, Beacon
from service.demo.pages import Page
from service.demo.shoppers import Shopper
from service.demo.shops import Product, Shop
from service.demo.street import CLOSED_SHOP
from service.demo.weighted import Weighted

UNKNOWN_PRODUCT_ID = 9_999
UNKNOWN_TYPE = "click"

_P_CONTACT = 0.16
_P_CART = 0.09
_P_PURCHASE_OF_CART = 0.38
_P_SALE_OF_CHAT = 0.2
_CHAT_H_MEAN, _CHAT_H_MAX = 22.0, 120.0

_CONTACTS = Weighted(
    (
        (INTERACTIONS, "whatsapp_click"),
        (INTERACTIONS, "maps_click"),
        (INTERACTIONS, "call_click"),
        (TRACK, "location_view"),
        (TRACK, "social_share"),
    ),
    (64, 11, 10, 8, 7),
)
_VIEWS = Weighted(range(1, 13), (42, 16, 12, 9, 7, 5, 3, 2, 1.5, 1, 0.8, 0.7))
_CRAWLED_VIEWS = Weighted(range(6, 13), (1,) * 7)
_SERVER = {"X-Forwarded-For": countries.SERVER_ADDRESS, "User-Agent": "GuzzleHttp/7"}


class Visit:
    """The visit of one shopper to one shop: iterating over it yields its beacons in order.

    The beacons of its chat may be later than those of other visits.
    """

    def __init__(  # noqa: PLR0913  (what a visit depends on)
        self,
        shopper: Shopper,
        shop: Shop,
        arrival: datetime,
        days_ago: int,
        rng: Random,
        *,
        comes_back: bool = False,
    ) -> None:
        """Choose where the visit comes from. `days_ago` counts from the end of the demo;
        `comes_back`: the shopper was in the shop earlier that day."""
        self._shopper, self._shop, self._now, self._rng = shopper, shop, arrival, rng
        self._address = shopper.address_on((arrival - timedelta(hours=6)).date())
        self._headers = shopper.headers(shop, self._address)
        self._interest = 0.0
        self._origin: dict[str, str] = {}
        if not shopper.is_crawler:
            drawn = origins.draw(shopper.app, shop, days_ago, rng)
            origin = origins.RETURN if comes_back else drawn
            self._interest = origin.interest
            parts = {"query": origin.opened(rng), "referrer": origin.referrer}
            self._origin = {name: text for name, text in parts.items() if text}

    def __iter__(self) -> Iterator[Beacon]:
        """Yield the beacons of the visit."""
        views = _CRAWLED_VIEWS if self._shopper.is_crawler else _VIEWS
        page = pages.entry(self._shop, self._rng)
        for number in range(views.draw(self._rng)):
            if number:
                page = pages.after(self._shop, self._rng)
            yield self._event(INTERACTIONS, "view", page)
            self._leave_page()
            self._wait(mean_s=45)
        yield from self._ask(page)
        if page.product:
            yield from self._buy(page, page.product)

    def mistake(self) -> Beacon:
        """Return a beacon that the collector has to reject."""
        return self._rng.choice(
            (self._unknown_product, self._unknown_type, self._closed_shop, self._closed_checkout)
        )()

    def _ask(self, page: Page) -> Iterator[Beacon]:
        if self._rng.random() >= _P_CONTACT * self._interest:
            return
        path, type_ = _CONTACTS.draw(self._rng)
        click_id = beacons.event_id(self._rng)
        yield self._event(path, type_, page, event_id=click_id)
        self._wait(mean_s=60)
        chats = type_ == "whatsapp_click" and page.product and self._shop.has_server
        if page.product and chats and self._rng.random() < _P_SALE_OF_CHAT * self._interest:
            yield self._sale_of_chat(page.product, click_id)

    def _buy(self, page: Page, product: Product) -> Iterator[Beacon]:
        if self._rng.random() >= _P_CART * self._interest:
            return
        yield self._event(TRACK, "cart_add", page)
        self._wait(mean_s=60)
        yield self._event(INTERACTIONS, "view", Page(pages.CART))
        self._wait(mean_s=120)
        if self._rng.random() < _P_PURCHASE_OF_CART:
            yield from self._sale(product)

    def _sale(self, product: Product) -> Iterator[Beacon]:
        """Yield the sale of a cart: the page's, then that of the shop's server if it has one."""
        order = self._order(self._shop, product)
        yield self._beacon(
            CONVERSION, {**order, "context": {"path": pages.CHECKOUT, **self._origin}}
        )
        if self._shop.has_server:
            self._wait(mean_s=5)
            context = {"path": pages.CHECKOUT}
            if not self._shopper.wish:
                context |= {"ip": self._address, "user_agent": self._shopper.user_agent}
            yield self._from_server({**order, "context": context}, self._now)

    def _sale_of_chat(self, product: Product, click_id: str) -> Beacon:
        """Return a sale that was agreed in a chat; without a ref if nothing may be traced."""
        hours = min(0.2 + self._rng.expovariate(1 / _CHAT_H_MEAN), _CHAT_H_MAX)
        ref = {} if self._shopper.wants_no_trace else {"ref": beacons.short_ref(click_id)}
        order = self._order(self._shop, product)
        return self._from_server({**order, **ref}, self._now + timedelta(hours=hours))

    def _leave_page(self) -> None:
        """Forget the origin under Global Privacy Control: only the first page knows it."""
        if self._shopper.wants_no_trace:
            self._origin = {}

    def _event(self, endpoint: str, type_: str, page: Page, **fields: Any) -> Beacon:
        fields = {
            "tenant_id": self._shop.uuid if endpoint == TRACK else self._shop.id,
            "type": type_,
            "context": {"path": page.path, **self._origin},
            **fields,
        }
        if page.product:
            fields["product_id"] = page.product.id
        return self._beacon(endpoint, fields)

    def _order(self, shop: Shop, product: Product) -> dict[str, Any]:
        """Return the fields of a sale that all of its reports share."""
        quantity = self._rng.choice((1, 1, 1, 1, 2, 2, 3))
        return {
            "tenant_slug": shop.slug,
            "transaction_id": f"{shop.slug}-{self._rng.getrandbits(48):012x}",
            "value": round(float(product.price * quantity), 2),
            "currency": shop.currency,
            "product_id": product.id,
            "metadata": {"quantity": quantity},
        }

    def _from_server(self, sale: Mapping[str, Any], at: datetime) -> Beacon:
        identified = {"event_id": beacons.event_id(self._rng), **sale}
        return Beacon(at, beacons.request(CONVERSION, _SERVER, at, identified), self._shop)

    def _unknown_product(self) -> Beacon:
        fields = {"type": "cart_add", "product_id": UNKNOWN_PRODUCT_ID}
        return self._beacon(TRACK, {"tenant_id": self._shop.uuid, **fields})

    def _unknown_type(self) -> Beacon:
        return self._beacon(INTERACTIONS, {"tenant_id": self._shop.id, "type": UNKNOWN_TYPE})

    def _closed_shop(self) -> Beacon:
        return self._beacon(TRACK, {"tenant_id": CLOSED_SHOP.uuid, "type": "location_view"})

    def _closed_checkout(self) -> Beacon:
        return self._beacon(CONVERSION, self._order(CLOSED_SHOP, CLOSED_SHOP.products[0]))

    def _beacon(self, path: str, fields: Mapping[str, Any]) -> Beacon:
        identified = {"event_id": beacons.event_id(self._rng), **fields}
        return Beacon(self._now, beacons.request(path, self._headers, self._now, identified))

    def _wait(self, *, mean_s: float) -> None:
        seconds = 2 + min(self._rng.expovariate(1 / mean_s), 10 * mean_s)
        self._now += timedelta(seconds=seconds)
