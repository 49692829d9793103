"""Importing tenants and products from CSV files into the directory's database.

tenants.csv has the columns `id,uuid,slug,name,status` (the status of a public tenant is `active`),
products.csv has the columns `id,tenant_id,name,price`. tenants.csv may also have `language`,
`timezone` and `currency` (`etl.directory.preferences`): a column that it lacks changes nothing, an
empty cell is none.

Ids are whole numbers from 1 to 2^53-1; a uuid or a price may be empty; a price has at most 11
digits before the point and 4 after, which every database keeps exactly. `etl.directory.csv_rows`
reads the files.

Invariant: any mistake raises a `DirectoryFileError`, whose message is one line that names the file
and the line, and nothing of either file is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, TypeVar

from etl.directory import csv_rows, preferences
from etl.directory.csv_rows import DirectoryFileError, Row
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import (
    PREFERENCES,
    STATUS_CHARS_MAX,
    TEXT_CHARS_MAX,
    DirectoryCounts,
    Product,
    Tenant,
    canonical_uuid,
    is_id,
    is_slug,
)

__all__ = ["DirectoryFileError", "import_directory"]

TENANT_COLUMNS = ("id", "uuid", "slug", "name", "status")
PRODUCT_COLUMNS = ("id", "tenant_id", "name", "price")

_WHOLE = re.compile(r"[0-9]{1,16}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORD = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{STATUS_CHARS_MAX - 1}}}")
_PRICE = re.compile(r"[0-9]{1,11}(\.[0-9]{1,4})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_TAKEN: Mapping[str, str] = {
    "language": " or ".join(preferences.LANGUAGES),
    "timezone": "a zone such as America/Tegucigalpa",
    "currency": "a code of ISO 4217 such as HNL",
}
"""Optional column -> the values that it takes."""

_T = TypeVar("_T")


class _BadCell(Exception):
    """A cell is invalid; the message says why, the caller adds the line."""


def import_directory(
    database: DirectoryDatabase, tenants_path: Path, products_path: Path | None = None
) -> DirectoryCounts:
    """Insert or update all entries of the files in one transaction; create missing tables first.

    Raises DirectoryUnavailable, and DirectoryFileError, also for a slug or uuid that another tenant
    has and for a product of an unknown tenant.
    """
    numbered = list(_numbered_tenants(tenants_path))
    database.create_tables()
    present = {tenant.id: tenant for tenant in database.tenants()}
    _check_not_taken(tenants_path, numbered, present.values())
    tenants = [sent.merged(present.get(sent.tenant.id)) for _, sent in numbered]
    known_ids = {*present, *(tenant.id for tenant in tenants)}
    products = () if products_path is None else _products_of(known_ids, products_path)
    return database.upsert(tenants, products)


class _Sent(NamedTuple):
    """A tenant of a file, and the columns that the file does not have."""

    tenant: Tenant
    unsaid: Sequence[str]

    def merged(self, present: Tenant | None) -> Tenant:
        """Return the tenant with the values of `present` in the columns that were not sent."""
        kept = {name: getattr(present, name) for name in self.unsaid} if present else {}
        return replace(self.tenant, **kept)


def _numbered_tenants(path: Path) -> Iterator[tuple[int, _Sent]]:
    first_line: dict[tuple[str, object], int] = {}
    for line, sent in _parsed(path, TENANT_COLUMNS, _tenant, PREFERENCES):
        for name, value in _unique_values(sent.tenant):
            earlier = first_line.setdefault((name, value), line)
            if earlier != line:
                raise DirectoryFileError(path, line, f"{name} is the same as on line {earlier}")
        yield line, sent


def _numbered_products(path: Path) -> Iterator[tuple[int, Product]]:
    seen: dict[int, set[int]] = {}
    for line, product in _parsed(path, PRODUCT_COLUMNS, _product):
        of_tenant = seen.setdefault(product.tenant_id, set())
        if product.id in of_tenant:
            raise DirectoryFileError(path, line, "this tenant has a product of this id above")
        of_tenant.add(product.id)
        yield line, product


def _products_of(known_ids: set[int], path: Path) -> Iterator[Product]:
    for line, product in _numbered_products(path):
        if product.tenant_id not in known_ids:
            raise DirectoryFileError(path, line, "tenant_id is of no known tenant")
        yield product


def _check_not_taken(
    path: Path, numbered: Iterable[tuple[int, _Sent]], present: Iterable[Tenant]
) -> None:
    owners = {unique: tenant.id for tenant in present for unique in _unique_values(tenant)}
    for line, (tenant, _) in numbered:
        for name, value in _unique_values(tenant):
            if owners.get((name, value), tenant.id) != tenant.id:
                raise DirectoryFileError(path, line, f"{name} belongs to another tenant already")


def _unique_values(tenant: Tenant) -> Iterator[tuple[str, object]]:
    yield "id", tenant.id
    yield "slug", tenant.slug
    if tenant.uuid is not None:
        yield "uuid", tenant.uuid


def _parsed(
    path: Path,
    columns: Sequence[str],
    parse: Callable[[Row], _T],
    optional: Sequence[str] = (),
) -> Iterator[tuple[int, _T]]:
    """Yield the number and the parsed value of each row. Raises DirectoryFileError."""
    for line, row in csv_rows.read(path, columns, optional):
        try:
            yield line, parse(row)
        except _BadCell as error:
            raise DirectoryFileError(path, line, str(error)) from None


def _tenant(row: Row) -> _Sent:
    if not is_slug(row["slug"]):
        raise _BadCell(f"slug must be 1 to {TEXT_CHARS_MAX} characters without blanks")
    if not _WORD.fullmatch(row["status"]):
        raise _BadCell("status must be a word, such as active")
    tenant = Tenant(
        id=_id(row, "id"),
        uuid=_uuid(row["uuid"]),
        slug=row["slug"],
        name=_name(row["name"]),
        status=row["status"],
        **{name: _preference(row, name) for name in PREFERENCES},
    )
    return _Sent(tenant, [name for name in PREFERENCES if name not in row])


def _product(row: Row) -> Product:
    return Product(
        id=_id(row, "id"),
        tenant_id=_id(row, "tenant_id"),
        name=_name(row["name"]),
        price=_price(row["price"]),
    )


def _id(row: Row, column: str) -> int:
    cell = row[column]
    if not (_WHOLE.fullmatch(cell) and is_id(int(cell))):
        raise _BadCell(f"{column} must be a whole number from 1 to 2^53-1")
    return int(cell)


def _uuid(cell: str) -> str | None:
    if cell and not _UUID.fullmatch(cell):
        raise _BadCell("uuid must be a UUID or empty")
    return canonical_uuid(cell)


def _name(cell: str) -> str:
    if not cell.strip() or len(cell) > TEXT_CHARS_MAX or _CONTROL.search(cell):
        raise _BadCell(f"name must be 1 to {TEXT_CHARS_MAX} characters on one line")
    return cell


def _preference(row: Row, column: str) -> str | None:
    cell = row.get(column, "")
    if not cell:
        return None
    value = preferences.READERS[column](cell)
    if value is None:
        raise _BadCell(f"{column} must be {_TAKEN[column]}, or empty")
    return value


def _price(cell: str) -> Decimal | None:
    if not cell:
        return None
    if not _PRICE.fullmatch(cell):
        raise _BadCell("price must be a number of 0 or more, below 10^11, with at most 4 decimals")
    return Decimal(cell)
