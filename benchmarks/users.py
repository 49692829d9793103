"""Events like those of users: every benchmark takes its events from here.

5,000 shops with a heavy tail: the k-th shop has 1/k of the visits of the first. 2,000 visits are
open at any moment, of 2.9 events each, as in the public traffic of REES46 (5,019 events of 1,755
visitors). Every event has a random event_id, as those of the tracker have. 2 % are sales, and a
shop's server signs half of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from benchmarks import pages

SHOPS = 5_000
PRODUCTS_PER_SHOP = 20
VISITS_OPEN = 2_000
EVENTS_PER_VISIT = 2.9
SIGNED_SHARE_OF_SALES = 0.5
NO_PRODUCT_SHARE = 0.25
CURRENCY = "HNL"
BEHIND_MS_MAX = 3_000
TRAVEL_MS_MAX = 200
SALE = "purchase"
PER_MILLE: Final[Mapping[str, int]] = {
    "view": 870,
    "whatsapp_click": 60,
    "cart_add": 20,
    SALE: 20,
    "call_click": 15,
    "maps_click": 10,
    "social_share": 5,
}
"""How many of a thousand events have each type."""
ENDPOINTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("view", "whatsapp_click", "call_click", "maps_click"), "interactions"),
    **dict.fromkeys(("cart_add", "social_share"), "track"),
    SALE: "conversion",
}
"""The endpoint that takes each type."""
TAGGED_SHARE, LINKED_SHARE = 0.3, 0.4
SOURCES = ("google", "facebook", "instagram", "newsletter", "tiktok")
MEDIUMS = ("cpc", "social", "email")
CAMPAIGNS = 12
REFERRERS = ("www.google.com", "l.facebook.com", "l.instagram.com", "duckduckgo.com")

_TYPES = tuple(PER_MILLE)
_TYPE_WEIGHTS = tuple(accumulate(PER_MILLE.values()))


def shares(shops: int) -> list[float]:
    """Return each shop's share of the visits, the first shop first; they sum to 1 (Zipf)."""
    weights = [1 / rank for rank in range(1, shops + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


def product_of(shop: int, place: int) -> int:
    """Return the id of a shop's product. `place` is from 0 to PRODUCTS_PER_SHOP - 1."""
    return (shop - 1) * PRODUCTS_PER_SHOP + place + 1


def uuid_of(shop: int) -> str:
    """Return the UUID of a shop."""
    return str(UUID(int=shop, version=4))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a visit came from: the campaign of its first page, or the host that linked to it."""

    campaign: Mapping[str, str]
    referrer: str | None

    @property
    def query(self) -> str:
        """The query string of the first page."""
        return f"?{urlencode(self.campaign)}" if self.campaign else ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit of a shop. `behind_ms`: how far the clock of the visitor's device is behind."""

    shop: int
    visitor_id: str
    browser: int
    origin: Origin
    behind_ms: int


@dataclass(frozen=True, slots=True)
class Sale:
    """The fields that a sale adds to its event."""

    transaction_id: str
    value: float
    is_signed: bool


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a visit. `travel_ms`: the time from the page to the collector."""

    visit: Visit
    type: str
    event_id: str
    product_id: int | None
    path: str
    travel_ms: int
    sale: Sale | None


def events(
    chance: random.Random, *, shops: int = SHOPS, browsers: int = 1 << 40
) -> Iterator[Event]:
    """Return events without end, in the order of their receipt; visits overlap."""
    cumulative = list(accumulate(shares(shops)))
    numbers = range(1, shops + 1)

    def visit() -> Visit:
        (shop,) = chance.choices(numbers, cum_weights=cumulative)
        visitor_id = f"{chance.getrandbits(64):016x}"
        return Visit(
            shop,
            visitor_id,
            chance.randrange(browsers),
            _origin(chance),
            chance.randrange(BEHIND_MS_MAX),
        )

    visits = [visit() for _ in range(VISITS_OPEN)]
    while True:
        place = chance.randrange(VISITS_OPEN)
        yield _event(visits[place], chance)
        if chance.random() < 1 / EVENTS_PER_VISIT:
            visits[place] = visit()


def _origin(chance: random.Random) -> Origin:
    kind = chance.random()
    if kind < TAGGED_SHARE:
        campaign = {
            "utm_source": chance.choice(SOURCES),
            "utm_medium": chance.choice(MEDIUMS),
            "utm_campaign": f"campaign-{chance.randrange(CAMPAIGNS)}",
        }
        return Origin(campaign, None)
    return Origin({}, chance.choice(REFERRERS) if kind < TAGGED_SHARE + LINKED_SHARE else None)


def _event(visit: Visit, chance: random.Random) -> Event:
    (type_,) = chance.choices(_TYPES, cum_weights=_TYPE_WEIGHTS)
    product = int(PRODUCTS_PER_SHOP * chance.random() ** 2)  # some products are popular
    every_path = pages.paths()
    return Event(
        visit,
        type_,
        str(UUID(int=chance.getrandbits(128), version=4)),
        None if chance.random() < NO_PRODUCT_SHARE else product_of(visit.shop, product),
        every_path[product_of(visit.shop, product) % len(every_path)],
        chance.randrange(TRAVEL_MS_MAX),
        _sale(chance) if type_ == SALE else None,
    )


def _sale(chance: random.Random) -> Sale:
    return Sale(
        f"T-{chance.getrandbits(40)}",
        chance.randrange(100, 100_000) / 100,
        chance.random() < SIGNED_SHARE_OF_SALES,
    )
