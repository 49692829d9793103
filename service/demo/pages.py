"""The pages of a shop: their paths, and the way of a visitor through them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from random import Random

from service.demo.shops import SHOPS, Product, Shop
from service.demo.weighted import Weighted

CHECKOUT = "/pagar"
CART = "/carrito"

_ENTRIES = Weighted(("/", "/catalogo", "/nosotros", "/ofertas", None), (34, 10, 2, 5, 49))
_NEXT = Weighted(("/", "/catalogo", "/contacto", "/ofertas", None), (4, 15, 3, 4, 74))
_SHELVES = {shop.id: Weighted.zipf(shop.products) for shop in SHOPS}


@dataclass(frozen=True, slots=True)
class Page:
    """A page; `product` is the one that it shows, if any."""

    path: str
    product: Product | None = None


def entry(shop: Shop, rng: Random) -> Page:
    """Return the page at which a visit begins."""
    return _page(shop, _ENTRIES.draw(rng), rng)


def after(shop: Shop, rng: Random) -> Page:
    """Return a page to which a visitor goes on."""
    return _page(shop, _NEXT.draw(rng), rng)


def of_product(product: Product) -> Page:
    """Return the page of a product."""
    return Page(_path(product.name), product)


def _page(shop: Shop, path: str | None, rng: Random) -> Page:
    return Page(path) if path else of_product(_SHELVES[shop.id].draw(rng))


@cache
def _path(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"/producto/{re.sub('[^a-z0-9]+', '-', plain).strip('-')}"
