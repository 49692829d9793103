"""Rows of a directory's database as tenants and products.

A query may return other types than our tables have: numbers, UUIDs, enums, fractions. A value that
has no meaning here raises a DirectoryUnavailable that names the column: the directory is wrong, and
half of it would be a wrong answer. A language, zone or currency without a meaning is read as none:
a default of reports must not stop the events of a shop.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from etl.directory import preferences
from etl.directory.entries import (
    ID_MAX,
    PREFERENCES,
    DirectoryUnavailable,
    Product,
    Tenant,
    canonical_uuid,
)

_PRICE_DECIMALS = 4
_PRICE_MAX = Decimal(10) ** 14


def tenant_of(row: Any) -> Tenant:
    """Return the tenant of a row of `tenants`, maybe without PREFERENCES; NULL is empty."""
    sent = row._mapping
    return Tenant(
        id=_whole(row.id),
        uuid=_uuid(row.uuid),
        slug=_text("slug", row.slug),
        name=_text("name", row.name),
        status=_text("status", row.status),
        **{column: _preference(sent, column) for column in PREFERENCES},
    )


def product_of(row: Any) -> Product:
    """Return the product of a row with the columns of `products`."""
    return Product(
        _whole(row.id), _whole(row.tenant_id), _text("name", row.name), _price(row.price)
    )


def product_key_of(row: Any) -> tuple[int, int]:
    """Return the key of a row with the columns `tenant_id` and `id`."""
    tenant_id, product_id = row
    return _whole(tenant_id), _whole(product_id)


def _whole(value: Any) -> int:
    if type(value) is int and 0 < value <= ID_MAX:  # almost always, and millions of times
        return value
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not (isinstance(value, str) or number == value):
        raise DirectoryUnavailable("the directory holds an id that is not a whole number")
    if abs(number) > ID_MAX:
        raise DirectoryUnavailable("the directory holds an id beyond 2^53-1")
    return number


def _text(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (int, float, Decimal, UUID)):
        return str(value)
    raise DirectoryUnavailable(
        f"the directory's {column} is {type(value).__name__}, not text; convert it in the query"
    )


def _uuid(value: Any) -> str | None:
    if isinstance(value, (bytes, bytearray)):
        raise DirectoryUnavailable("the directory's uuid is binary; select HEX(uuid) in the query")
    return None if value is None else canonical_uuid(str(value))


def _preference(sent: Mapping[str, Any], column: str) -> str | None:
    value = sent.get(column)
    return preferences.READERS[column](value) if isinstance(value, str) else None


def _price(value: Any) -> Decimal | None:
    """Return a price as reports keep it."""
    if value is None:
        return None
    try:
        price = Decimal(str(value))
        if abs(price) < _PRICE_MAX:
            return round(price, _PRICE_DECIMALS)
    except InvalidOperation:
        pass
    raise DirectoryUnavailable("the directory's price is not a number below 10^14")
