"""The street: which of its shops are visited, and the CSV files of its directory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from service.demo.shops import SHOPS, TIMEZONE

OPEN_SHOPS = tuple(shop for shop in SHOPS if shop.status == "active" and not shop.is_new)
NEW_SHOP = next(shop for shop in SHOPS if shop.is_new)
CLOSED_SHOP = next(shop for shop in SHOPS if shop.status == "inactive")


def write_csv(folder: Path) -> tuple[Path, Path]:
    """Write tenants.csv and products.csv into an existing folder and return their paths.

    Raises OSError if the folder cannot be written.
    """
    tenants, products = folder / "tenants.csv", folder / "products.csv"
    _write(
        tenants,
        ("id", "uuid", "slug", "name", "status", "language", "timezone", "currency"),
        (
            (
                *(shop.id, shop.uuid, shop.slug, shop.name, shop.status),
                *(shop.language, TIMEZONE, shop.currency),
            )
            for shop in SHOPS
        ),
    )
    _write(
        products,
        ("id", "tenant_id", "name", "price"),
        (
            (product.id, product.tenant_id, product.name, product.price)
            for shop in SHOPS
            for product in shop.products
        ),
    )
    return tenants, products


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
