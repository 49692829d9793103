"""Tenants and products as values, and the rules of their ids, slugs and UUIDs.

No database library is imported here, because SQLAlchemy takes half the start-up time of a command
that reads the directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

ID_MAX = 2**53 - 1
TEXT_CHARS_MAX = 255
STATUS_CHARS_MAX = 32
PUBLIC_STATUS = "active"
PREFERENCES = ("language", "timezone", "currency")
"""The columns of tenants that a file, a query or an older table may lack."""


class DirectoryUnavailable(Exception):
    """The directory's database failed or holds no directory; a message of one line, no secrets."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A shop. `uuid` is in lower case, with hyphens; `slug` is empty if a query returned NULL.

    `language`, `timezone` and `currency` have the forms of `etl.directory.preferences`.
    """

    id: int
    uuid: str | None
    slug: str
    name: str
    status: str
    language: str | None = None
    timezone: str | None = None
    currency: str | None = None

    @property
    def is_public(self) -> bool:
        """True if the collector accepts events for the tenant."""
        return self.status == PUBLIC_STATUS


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `id` is unique within its tenant only."""

    id: int
    tenant_id: int
    name: str
    price: Decimal | None


State: TypeAlias = tuple[object, ...]
"""A value that differs after a directory was written."""


class WholeDirectory(Protocol):
    """All entries: those of a database, or those that were saved. Its methods may block, and raise
    DirectoryUnavailable."""

    def exists(self) -> bool:
        """Return whether there is a directory yet."""

    def state(self, now_s: float) -> State | None:
        """Return the state at `now_s`, Unix time; None if it cannot prove that nothing changed."""

    def tenants(self) -> list[Tenant]:
        """Return all tenants, public or not, by id."""

    def products(self) -> Iterator[Product]:
        """Yield all products in no particular order."""

    def product_keys(self) -> Iterator[tuple[int, int]]:
        """Yield (tenant_id, product id) of all products."""


@dataclass(frozen=True, slots=True)
class DirectoryCounts:
    """The numbers of rows that an import inserted or updated."""

    tenants: int
    products: int


def is_id(number: int) -> bool:
    """Return whether a number can be a tenant's or a product's id."""
    return 0 < number <= ID_MAX


def is_slug(slug: str) -> bool:
    """Return whether a text can be a slug: 1 to 255 printable characters, no blanks."""
    return 0 < len(slug) <= TEXT_CHARS_MAX and slug.isprintable() and " " not in slug


def canonical_uuid(uuid: str) -> str | None:
    """Return the UUID in lower case with hyphens; None for any other text."""
    try:
        return str(UUID(uuid))
    except ValueError:
        return None
