"""Tools of the tests of the directory: tenants, a product, and files in a folder."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from etl.directory.entries import Product, Tenant

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
SHOP = Tenant(1, UUID, "shop", "Shop", "active")
CLOSED = Tenant(2, None, "closed", "Closed", "suspended")
HONDURAN = replace(SHOP, language="es", timezone="America/Tegucigalpa", currency="HNL")
LAMP = Product(7, 1, "Lamp", Decimal("12.5"))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
