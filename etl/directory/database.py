"""The directory in a SQL database: which tenants and products exist.

By default the tables are those of `etl.directory.schema`, made by `create_tables`. With queries it
reads an application's existing tables instead, and never writes: a query returns columns of the
same names and is used as a subselect.

Invariants: reading never creates a SQLite file; an import is one transaction; every failure of the
database raises a `DirectoryUnavailable` with a message of one line, without credentials; matches
are exact, whatever the database's collation. All calls block and may come from any thread. Create a
DirectoryDatabase after a fork, never before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from etl.directory.entries import (
    DirectoryCounts,
    DirectoryUnavailable,
    Product,
    Tenant,
    canonical_uuid,
    is_id,
    is_slug,
)
from etl.directory.schema import PRODUCTS, TENANTS, upsert_statement

_CHUNK_ROWS = 5_000
_WRITTEN_RECENTLY_S = 1.0
_BUSY_TIMEOUT_S = 10.0
_REASON_CHARS_MAX = 300

FileState = tuple[tuple[str, int, int, int], ...]
"""The name, inode, size and time of the last write of a SQLite file and of its write-ahead log."""


class DirectoryDatabase:
    """The directory at one SQLAlchemy URL, to read and to fill. It connects on first use."""

    def __init__(
        self, url: str, *, tenants_query: str | None = None, products_query: str | None = None
    ) -> None:
        """Raise DirectoryUnavailable for an invalid URL, or for a driver that is not installed."""
        self._engine = _open(url)
        self._file = _sqlite_file(self._engine.url)
        self._tenants = _source(TENANTS, tenants_query)
        self._products = _source(PRODUCTS, products_query)
        self._has_own_tables = tenants_query is None and products_query is None

    def exists(self) -> bool:
        """Return whether the SQLite file exists; always true for a server."""
        return self._file is None or self._file.is_file()

    def file_state(self, now_s: float) -> FileState | None:
        """Return the state of the SQLite file, which differs after a write; `now_s`: Unix time.

        None if the state does not prove that nothing was written: for a server, and for a file
        that was written in the last second, since the times of two writes may be equal.
        """
        if self._file is None:
            return None
        states = []
        for path in (self._file, self._file.with_name(f"{self._file.name}-wal")):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            if facts.st_mtime > now_s - _WRITTEN_RECENTLY_S:
                return None
            states.append((path.name, facts.st_ino, facts.st_size, facts.st_mtime_ns))
        return tuple(states)

    def create_tables(self) -> None:
        """Create missing tables, the SQLite file and its folder; do nothing if queries are set."""
        if not self._has_own_tables:
            return
        with self._errors():
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._use_write_ahead_log()
            with self._engine.begin() as connection:
                for table in (TENANTS, PRODUCTS):
                    connection.execute(CreateTable(table, if_not_exists=True))

    def tenants(self) -> list[Tenant]:
        """Return all tenants, public or not, by id."""
        with self._reading() as connection:
            query = sa.select(self._tenants).order_by(self._tenants.c.id)
            return [_tenant(row) for row in connection.execute(query)]

    def products(self) -> Iterator[Product]:
        """Yield all products in no particular order; hold a connection until the last one."""
        with self._reading() as connection:
            streamed = connection.execution_options(yield_per=_CHUNK_ROWS)
            for row in streamed.execute(sa.select(self._products)):
                yield Product(_whole(row.id), _whole(row.tenant_id), row.name or "", row.price)

    def product_keys(self) -> Iterator[tuple[int, int]]:
        """Yield (tenant_id, product id) of all products, in the same way as `products`."""
        columns = self._products.c
        with self._reading() as connection:
            streamed = connection.execution_options(yield_per=_CHUNK_ROWS)
            for tenant_id, product_id in streamed.execute(sa.select(columns.tenant_id, columns.id)):
                yield _whole(tenant_id), _whole(product_id)

    def find_tenant(
        self, *, id: int | None = None, uuid: str | None = None, slug: str | None = None
    ) -> Tenant | None:
        """Return the tenant, public or not, with this id, UUID or slug. At most one query."""
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
            tenants = [_tenant(row) for row in connection.execute(query.limit(10))]
        return next((each for each in tenants if slug is None or each.slug == slug), None)

    def find_product(self, tenant_id: int, product_id: int) -> bool:
        """Return whether this tenant has this product. At most one query."""
        if not (is_id(tenant_id) and is_id(product_id)):
            return False
        columns = self._products.c
        query = sa.select(sa.literal(1)).where(
            columns.tenant_id == tenant_id, columns.id == product_id
        )
        with self._reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def upsert(self, tenants: Iterable[Tenant], products: Iterable[Product]) -> DirectoryCounts:
        """Insert or update all rows, streamed, in one transaction; change nothing on an error.

        Rows are matched by primary key. The caller has checked that no uuid or slug is taken.
        """
        if not self._has_own_tables:
            raise DirectoryUnavailable("the directory is read by a query: import into its source")
        with self._errors(), self._engine.begin() as connection:
            return DirectoryCounts(
                tenants=_write(connection, TENANTS, tenants),
                products=_write(connection, PRODUCTS, products),
            )

    def dispose(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def _use_write_ahead_log(self) -> None:
        """Let readers and an import work at the same time."""
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite fails at once when another process makes the same switch at the same moment.
        with suppress(OperationalError), autocommit.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def _uuid_is(self, uuid: str | None) -> sa.ColumnElement[bool]:
        if uuid is None:
            return sa.false()
        if self._tenants is TENANTS:
            return TENANTS.c.uuid == uuid
        # Applications keep UUIDs as text of either case, without hyphens, or in a UUID type.
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


def _open(url: str) -> sa.Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    try:
        if _sqlite_file(sa.make_url(url)) is not None:
            # Without a pool, each connection opens the file again, also one that was replaced.
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
        raise DirectoryUnavailable("the directory holds an id that is not a whole number") from None
