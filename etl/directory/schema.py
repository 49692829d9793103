"""The two tables of the directory, and the statement that fills them.

    tenants(id PRIMARY KEY, uuid UNIQUE or null, slug UNIQUE, name, status,
            language or null, timezone or null, currency or null)
    products(tenant_id, id, name, price, PRIMARY KEY (tenant_id, id))

A product's id is unique within its tenant only. A table of an earlier version lacks the last three
columns of `tenants` until they are added.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import UserDefinedType

from etl.directory.entries import STATUS_CHARS_MAX, TEXT_CHARS_MAX, DirectoryUnavailable


class _Price(UserDefinedType[Decimal]):
    """NUMERIC(18, 4); bound as text for SQLite, whose driver has no decimals."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "NUMERIC(18, 4)"

    def bind_processor(self, dialect: Dialect) -> Any:
        if dialect.name != "sqlite":
            return None
        return lambda value: None if value is None else str(value)


_LANGUAGE_CHARS_MAX = 16
_ZONE_CHARS_MAX = 64
_CURRENCY_CHARS = 3
# A MySQL database may have latin1 as its default, which not every name fits.
_CHARSET = "utf8mb4"
# MySQL's default collations treat "Shop" and "shop" as equal.
_SLUG = sa.String(TEXT_CHARS_MAX).with_variant(
    sa.String(TEXT_CHARS_MAX, collation="utf8mb4_bin"), "mysql", "mariadb"
)
_METADATA = sa.MetaData()
TENANTS = sa.Table(
    "tenants",
    _METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("uuid", sa.String(36), unique=True),
    sa.Column("slug", _SLUG, nullable=False, unique=True),
    sa.Column("name", sa.String(TEXT_CHARS_MAX), nullable=False),
    sa.Column("status", sa.String(STATUS_CHARS_MAX), nullable=False),
    sa.Column("language", sa.String(_LANGUAGE_CHARS_MAX)),
    sa.Column("timezone", sa.String(_ZONE_CHARS_MAX)),
    sa.Column("currency", sa.String(_CURRENCY_CHARS)),
    mysql_charset=_CHARSET,
    mariadb_charset=_CHARSET,
)
PRODUCTS = sa.Table(
    "products",
    _METADATA,
    sa.Column("tenant_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(TEXT_CHARS_MAX), nullable=False),
    sa.Column("price", _Price),
    mysql_charset=_CHARSET,
    mariadb_charset=_CHARSET,
)


def add_column(column: sa.Column[Any], dialect: Dialect) -> str:
    """Return the statement that adds a column to its table."""
    kind = column.type.compile(dialect=dialect)
    return f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}"


def upsert_statement(table: sa.Table, dialect_name: str, without: Collection[str] = ()) -> Insert:
    """Return an INSERT that updates the row if its primary key exists.

    Columns in `without` are left alone. Raises DirectoryUnavailable for a database that this module
    has no such statement for.
    """
    # Imported here for start-up time: only an import of CSV files needs the dialects.
    from sqlalchemy.dialects import mysql, postgresql, sqlite  # noqa: PLC0415

    every = [item.name for item in table.columns if not item.primary_key]
    values = [name for name in every if name not in without]
    if dialect_name in ("mysql", "mariadb"):
        into_mysql = mysql.insert(table)
        changes: dict[str, Any] = {v: into_mysql.inserted[v] for v in values}
        if table is TENANTS:
            # Another tenant's slug is a duplicate key too: NULL is refused, instead of that tenant
            # being overwritten.
            is_same = TENANTS.c.id == into_mysql.inserted.id
            changes["slug"] = sa.func.if_(is_same, into_mysql.inserted.slug, sa.null())
        return into_mysql.on_duplicate_key_update(changes)
    if dialect_name not in ("sqlite", "postgresql"):
        raise DirectoryUnavailable(f"importing into {dialect_name} is not supported")
    into = sqlite.insert(table) if dialect_name == "sqlite" else postgresql.insert(table)
    return into.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={v: into.excluded[v] for v in values}
    )
