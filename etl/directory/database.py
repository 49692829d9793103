"""The directory at rest: which tenants and products exist, in a SQL database.

Two tables, made by `create_tables`; two shops may number their products alike:

    tenants(id PRIMARY KEY, uuid UNIQUE or null, slug UNIQUE, name, status)
    products(tenant_id, id, name, price, PRIMARY KEY (tenant_id, id))

An application's existing tables are read instead through queries that return columns of those
names; the directory is then read-only here. A query is used as a subselect.

Invariants: reading never creates a SQLite file; an import is one transaction; every failure of
the database is a `DirectoryUnavailable` of one line, without credentials; matches are exact,
whatever the database's collation. All calls block and may come from any thread. Make it after a
fork, never before.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import UserDefinedType

from etl.directory.entries import (
    STATUS_CHARS_MAX,
    TEXT_CHARS_MAX,
    DirectoryCounts,
    DirectoryUnavailable,
    Product,
    Tenant,
    canonical_uuid,
    is_id,
    is_slug,
)

_CHUNK_ROWS = 5_000
_BUSY_TIMEOUT_S = 10.0
_REASON_CHARS_MAX = 300


class _Price(UserDefinedType[Decimal]):
    """NUMERIC(18, 4), as text into SQLite, whose driver knows no decimals."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "NUMERIC(18, 4)"

    def bind_processor(self, dialect: Dialect) -> Any:
        if dialect.name != "sqlite":
            return None
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002
        return lambda value: None if value is None else Decimal(str(value))


# MySQL's usual collations hold "Shop" and "shop" to be the same slug.
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
)
PRODUCTS = sa.Table(
    "products",
    _METADATA,
    sa.Column("tenant_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(TEXT_CHARS_MAX), nullable=False),
    sa.Column("price", _Price),
)


class DirectoryDatabase:
    """Reads and fills the directory behind one SQLAlchemy URL. Connects on first use."""

    def __init__(
        self, url: str, *, tenants_query: str | None = None, products_query: str | None = None
    ) -> None:
        """Raises DirectoryUnavailable for a URL that is none, or a driver not installed."""
        self._engine = _open(url)
        self._file = _sqlite_file(self._engine.url)
        self._tenants = _source(TENANTS, tenants_query)
        self._products = _source(PRODUCTS, products_query)
        self._is_own = tenants_query is None and products_query is None

    def exists(self) -> bool:
        """Whether a SQLite file is there; always true for a server."""
        return self._file is None or self._file.is_file()

    def create_tables(self) -> None:
        """Makes what is missing, the SQLite file and its folder included; nothing with queries."""
        if not self._is_own:
            return
        with self._errors():
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._use_write_ahead_log()
            with self._engine.begin() as connection:
                for table in (TENANTS, PRODUCTS):
                    connection.execute(CreateTable(table, if_not_exists=True))

    def tenants(self) -> list[Tenant]:
        """All tenants, public or not, by id."""
        with self._reading() as connection:
            query = sa.select(self._tenants).order_by(self._tenants.c.id)
            return [_tenant(row) for row in connection.execute(query)]

    def products(self) -> Iterator[Product]:
        """All products, streamed in no particular order. Holds a connection until exhausted."""
        with self._reading() as connection:
            streamed = connection.execution_options(yield_per=_CHUNK_ROWS)
            for row in streamed.execute(sa.select(self._products)):
                yield Product(_whole(row.id), _whole(row.tenant_id), row.name or "", row.price)

    def product_keys(self) -> Iterator[tuple[int, int]]:
        """The (tenant_id, product id) of all products, streamed in no particular order."""
        columns = self._products.c
        with self._reading() as connection:
            streamed = connection.execution_options(yield_per=_CHUNK_ROWS)
            for tenant_id, product_id in streamed.execute(sa.select(columns.tenant_id, columns.id)):
                yield _whole(tenant_id), _whole(product_id)

    def find_tenant(
        self, *, id: int | None = None, uuid: str | None = None, slug: str | None = None
    ) -> Tenant | None:
        """The tenant with exactly this id, UUID or slug, public or not. At most one query."""
        if (id, uuid, slug) == (None, None, None):
            return None
        columns = self._tenants.c
        query = sa.select(self._tenants)
        if id is not None:
            query = query.where(columns.id == id if is_id(id) else sa.false())
        if uuid is not None:
            query = query.where(self._uuid_is(canonical_uuid(uuid)))
        if slug is not None:
            query = query.where(columns.slug == slug if is_slug(slug) else sa.false())
        with self._reading() as connection:
            found = [_tenant(row) for row in connection.execute(query.limit(10))]
        return next((each for each in found if slug is None or each.slug == slug), None)

    def find_product(self, tenant_id: int, product_id: int) -> bool:
        """Whether this tenant has this product. At most one query."""
        if not (is_id(tenant_id) and is_id(product_id)):
            return False
        columns = self._products.c
        query = sa.select(sa.literal(1)).where(
            columns.tenant_id == tenant_id, columns.id == product_id
        )
        with self._reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def upsert(self, tenants: Iterable[Tenant], products: Iterable[Product]) -> DirectoryCounts:
        """Inserts or updates all of them in one transaction, streaming; nothing on any error.

        Rows are matched by primary key; whoever calls made sure that no uuid or slug is taken.
        """
        if not self._is_own:
            raise DirectoryUnavailable("the directory is read by a query: import into its source")
        with self._errors(), self._engine.begin() as connection:
            return DirectoryCounts(
                tenants=_write(connection, TENANTS, tenants),
                products=_write(connection, PRODUCTS, products),
            )

    def dispose(self) -> None:
        """Closes the connections that are not in use."""
        self._engine.dispose()

    def _use_write_ahead_log(self) -> None:
        """Lets readers go on while an import writes, and the import while they read."""
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite refuses at once when another process switches a new file at the same moment.
        with suppress(OperationalError), autocommit.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def _uuid_is(self, uuid: str | None) -> sa.ColumnElement[bool]:
        if uuid is None:
            return sa.false()
        if self._tenants is TENANTS:
            return TENANTS.c.uuid == uuid
        # Applications keep UUIDs as text of either case, without hyphens, or in a type of its own.
        as_text = sa.func.lower(sa.cast(self._tenants.c.uuid, sa.String(36)))
        return sa.func.replace(as_text, "-", "") == uuid.replace("-", "")

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        if not self.exists():
            raise DirectoryUnavailable(f"{self._place()}: the file does not exist")
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, ArithmeticError) as error:
            raise DirectoryUnavailable(f"{self._place()}: {self._reason(error)}") from None

    def _place(self) -> str:
        url = self._engine.url
        at_server = f"{url.host or ''}/{url.database or ''}"
        return f"directory {self._file or at_server} ({url.get_backend_name()})"

    def _reason(self, error: Exception) -> str:
        url = self._engine.url
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        reason = " ".join(str(cause).split())
        in_query = [value for key, value in url.query.items() if "pass" in key]
        for secret in filter(None, (url.password, *in_query)):
            reason = reason.replace(str(secret), "***")
        return reason[:_REASON_CHARS_MAX]


def upsert_statement(table: sa.Table, dialect_name: str) -> Insert:
    """INSERT that updates where the primary key is there already; DirectoryUnavailable if none."""
    # All three take longer to import than the rest of this file; only an import of CSV needs them.
    from sqlalchemy.dialects import mysql, postgresql, sqlite  # noqa: PLC0415

    values = [item.name for item in table.columns if not item.primary_key]
    if dialect_name in ("mysql", "mariadb"):
        into_mysql = mysql.insert(table)
        return into_mysql.on_duplicate_key_update({v: into_mysql.inserted[v] for v in values})
    if dialect_name not in ("sqlite", "postgresql"):
        raise DirectoryUnavailable(f"importing into {dialect_name} is not supported")
    into = sqlite.insert(table) if dialect_name == "sqlite" else postgresql.insert(table)
    return into.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={v: into.excluded[v] for v in values}
    )


def _open(url: str) -> sa.Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    try:
        if _sqlite_file(sa.make_url(url)) is not None:
            # Without a pool, a file that was replaced is seen.
            options = {"poolclass": sa.NullPool, "connect_args": {"timeout": _BUSY_TIMEOUT_S}}
        return sa.create_engine(url, hide_parameters=True, **options)
    except ImportError as error:
        why = f"the driver {error.name} for the directory's URL is not installed"
        raise DirectoryUnavailable(why) from None
    except (SQLAlchemyError, ValueError):
        raise DirectoryUnavailable("the directory's URL is not a database URL") from None


def _sqlite_file(url: sa.URL) -> Path | None:
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name)


def _source(table: sa.Table, query: str | None) -> sa.FromClause:
    if query is None:
        return table
    columns = [sa.column(item.name, item.type) for item in table.columns]
    # The newline ends a comment on the query's last line.
    return sa.text(query.strip().rstrip(";") + "\n").columns(*columns).subquery(table.name)


def _write(
    connection: sa.Connection, table: sa.Table, rows: Iterable[Tenant] | Iterable[Product]
) -> int:
    statement = upsert_statement(table, connection.dialect.name)
    names = table.columns.keys()
    values = ({name: getattr(row, name) for name in names} for row in rows)
    written = 0
    while chunk := list(islice(values, _CHUNK_ROWS)):
        connection.execute(statement, chunk)
        written += len(chunk)
    return written


def _tenant(row: sa.Row[Any]) -> Tenant:
    return Tenant(
        id=_whole(row.id),
        uuid=None if row.uuid is None else canonical_uuid(str(row.uuid)),
        slug=row.slug or "",
        name=row.name or "",
        status=row.status or "",
    )


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise DirectoryUnavailable("the directory holds an id that is no whole number") from None
