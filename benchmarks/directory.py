"""The directory of the benchmarks' shops, and the secrets of those that sign: made once a run."""

from __future__ import annotations

import atexit
import csv
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from benchmarks import users
from etl.layout import Layout
from service.collector.signing.secret_store import SecretStore

PRODUCTS = users.SHOPS * users.PRODUCTS_PER_SHOP
SIGNING_SHOPS = 100
"""The first shops, which have most of the visits, sign their sales."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data folder with a directory but no events, and the secrets of its shops."""

    data: Path
    secrets: Mapping[int, str]

    def copy_to(self, data: Path) -> None:
        """Copy the data folder."""
        shutil.copytree(self.data, data)


def prepared(products: int = PRODUCTS) -> Prepared:
    """Return a data folder with all shops, made at the first call, deleted at exit.

    `products`: how many they have together; the first PRODUCTS are those of the events.
    """
    return _prepared(products)


@cache  # whose key must not depend on whether a default is written out
def _prepared(products: int) -> Prepared:
    folder = Path(mkdtemp(prefix="beaconlog-bench-directory-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    data = folder / "data"
    _import(folder, data, products)
    store = SecretStore(Layout(data).signing)
    now = datetime.now(UTC)
    secrets = {shop: store.create(shop, now).secret for shop in range(1, SIGNING_SHOPS + 1)}
    return Prepared(data, secrets)


def slug_of(shop: int) -> str:
    """Return the slug of a shop."""
    return f"shop-{shop}"


def _import(folder: Path, data: Path, products: int) -> None:
    tenants, goods = folder / "tenants.csv", folder / "products.csv"
    with tenants.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "uuid", "slug", "name", "status"))
        for shop in range(1, users.SHOPS + 2):  # and the one shop of `benchmarks.lakes`
            rows.writerow((shop, users.uuid_of(shop), slug_of(shop), f"Shop {shop}", "active"))
    with goods.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "tenant_id", "name", "price"))
        for product in range(1, products + 1):
            shop = (product - 1) // users.PRODUCTS_PER_SHOP % users.SHOPS + 1
            rows.writerow((product, shop, f"Product {product}", "9.50"))
    line = [sys.executable, "-m", "service", "directory", "import", tenants, goods]
    subprocess.run([*map(str, line), "--data", str(data)], check=True, capture_output=True)
