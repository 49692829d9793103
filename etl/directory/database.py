"""The directory in a SQL database: which tenants and products exist.

By default the tables are those of `etl.directory.schema`, made by `create_tables`. With queries it
reads an application's existing tables instead, and never writes: a query returns columns of the
same names and is used as a subselect. Either may lack the columns of preferences (language, zone,
currency): those that are there are found by a query without rows.

Invariants: reading never creates a SQLite file; an import is one transaction; every failure of the
database raises a `DirectoryUnavailable` with a message of one line, without credentials; matches
are exact, whatever the database's collation. All calls block and may come from any thread. Create a
DirectoryDatabase after a fork, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from etl.directory import connections
from etl.directory.entries import (
    PREFERENCES,
    DirectoryCounts,
    DirectoryUnavailable,
    Product,
    State,
    Tenant,
    canonical_uuid,
    is_id,
    is_slug,
)
from etl.directory.rows import product_key_of, product_of, tenant_of
from etl.directory.schema import PRODUCTS, TENANTS, add_column, upsert_statement

_CHUNK_ROWS = 5_000
_WRITTEN_RECENTLY_S = 1.0

T = TypeVar("T")


class DirectoryDatabase:
    """The directory at one SQLAlchemy URL, to read and to fill. It connects on first use."""

    def __init__(
        self, url: str, *, tenants_query: str | None = None, products_query: str | None = None
    ) -> None:
        """Raise DirectoryUnavailable for an invalid URL, or for a driver that is not installed."""
        self._engine = connections.open_engine(url)
        self._file = connections.sqlite_file(self.url)
        self._tenants = _source(TENANTS, tenants_query)
        self._products = _source(PRODUCTS, products_query)
        self._has_own_tables = tenants_query is None and products_query is None
        self._lacking: frozenset[str] | None = None
        self.identity = connections.identity(self.url, tenants_query, products_query)

    @property
    def url(self) -> sa.URL:
        """The URL, with the name of its driver."""
        return self._engine.url

    @property
    def is_server(self) -> bool:
        """True if the database is a process of its own, which may be away."""
        return connections.is_server(self.url)

    def exists(self) -> bool:
        """Return whether the SQLite file exists; always true for a server."""
        return self._file is None or self._file.is_file()

    def state(self, now_s: float) -> State | None:
        """Return the state of the SQLite file, which differs after a write; `now_s`: Unix time.

        None if the state does not prove that nothing was written: for a server, and for a file
        that was written in the last second, since the times of two writes may be equal.
        """
        if self._file is None:
            return None
        file = self._file.resolve()  # as SQLite does: the log of a link lies beside its target
        states = []
        for path in (file, file.with_name(f"{file.name}-wal")):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            if facts.st_mtime > now_s - _WRITTEN_RECENTLY_S:
                return None
            states.append((path.name, facts.st_ino, facts.st_size, facts.st_mtime_ns))
        return tuple(states)

    def create_tables(self) -> None:
        """Create missing tables and columns, the SQLite file and its folder.

        Do nothing if queries are set. A column that this user may not add stays missing.
        """
        if not self._has_own_tables:
            return
        with self._errors():
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._use_write_ahead_log()
            with self._engine.begin() as connection:
                present = sa.inspect(connection)
                for table in (TENANTS, PRODUCTS):
                    # A user that may only read may not even ask to create an existing table.
                    if not present.has_table(table.name):
                        connection.execute(CreateTable(table, if_not_exists=True))
            self._add_columns()

    def tenants(self) -> list[Tenant]:
        """Return all tenants, public or not, by id."""
        with self._reading() as connection:
            self._lacking = self._missing(connection)
            every = self._select_tenants(self._lacking).order_by(self._tenants.c.id)
            return [tenant_of(row) for row in connection.execute(every)]

    def products(self) -> Iterator[Product]:
        """Yield all products in no particular order; hold a connection until the last one."""
        return self._each(sa.select(self._products), product_of)

    def product_keys(self) -> Iterator[tuple[int, int]]:
        """Yield (tenant_id, product id) of all products, in the same way as `products`."""
        columns = self._products.c
        return self._each(sa.select(columns.tenant_id, columns.id), product_key_of)

    def find_tenant(
        self, *, id: int | None = None, uuid: str | None = None, slug: str | None = None
    ) -> Tenant | None:
        """Return the tenant, public or not, with this id, UUID or slug.

        Run at most one query; the first call runs another one, without rows, to learn the columns.
        """
        conditions = self._conditions(id, uuid, slug)
        if not conditions:
            return None
        try:
            with self._reading() as connection:
                if self._lacking is None:
                    self._lacking = self._missing(connection)
                query = self._select_tenants(self._lacking).where(*conditions)
                tenants = [tenant_of(row) for row in connection.execute(query.limit(10)).all()]
        except DirectoryUnavailable:
            self._lacking = None  # a column may be gone
            raise
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
                tenants=_write(connection, TENANTS, tenants, self._missing(connection)),
                products=_write(connection, PRODUCTS, products),
            )

    def connect(self) -> None:
        """Connect once, to see whether the database answers. Raises DirectoryUnavailable."""
        with self._reading():
            pass

    def dispose(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def _use_write_ahead_log(self) -> None:
        """Let readers and an import work at the same time."""
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite fails at once when another process makes the same switch at the same moment.
        with suppress(OperationalError), autocommit.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def _add_columns(self) -> None:
        """Add the columns that a table of an earlier version lacks; never to a view."""
        with self._engine.connect() as connection:
            lacking = self._missing(connection) if _has_table(connection, TENANTS) else ()
        for name in sorted(lacking):
            # Another process may add it first, and a user that may only read may not.
            with suppress(DBAPIError), self._engine.begin() as connection:
                statement = add_column(TENANTS.c[name], connection.dialect)
                connection.exec_driver_sql(statement)

    def _missing(self, connection: sa.Connection) -> frozenset[str]:
        """Return the preferences for which the tenants have no column."""
        none = sa.select(sa.text("*")).select_from(self._tenants).limit(0)
        present = list(connection.execute(none).keys())
        if connection.dialect.name != "postgresql":  # which tells "timeZone" from timezone
            present = [name.lower() for name in present]
        # A name that two columns have is ambiguous.
        return frozenset(name for name in PREFERENCES if present.count(name) != 1)

    def _select_tenants(self, lacking: Collection[str]) -> sa.Select[Any]:
        return sa.select(*(item for item in self._tenants.c if item.name not in lacking))

    def _conditions(
        self, id: int | None, uuid: str | None, slug: str | None
    ) -> list[sa.ColumnElement[bool]]:
        """Return the conditions for a tenant with all of these names; None is no condition."""
        columns = self._tenants.c
        conditions: list[sa.ColumnElement[bool]] = []
        if id is not None:
            conditions.append(columns.id == id if is_id(id) else sa.false())
        if uuid is not None:
            conditions.append(self._uuid_is(canonical_uuid(uuid)))
        if slug is not None:
            conditions.append(columns.slug == slug if is_slug(slug) else sa.false())
        return conditions

    def _uuid_is(self, uuid: str | None) -> sa.ColumnElement[bool]:
        if uuid is None:
            return sa.false()
        if self._tenants is TENANTS:
            return TENANTS.c.uuid == uuid
        # Applications keep UUIDs as text of either case, without hyphens, or in a UUID type.
        as_text = sa.func.lower(sa.cast(self._tenants.c.uuid, sa.String(36)))
        return sa.func.replace(as_text, "-", "") == uuid.replace("-", "")

    def _each(self, query: sa.Select[Any], convert: Callable[[sa.Row[Any]], T]) -> Generator[T]:
        """Yield the converted rows of a query; read a few thousand at a time."""
        with self._reading() as connection:
            streamed = connection.execution_options(yield_per=_CHUNK_ROWS)
            with streamed.execute(query) as rows:
                yield from map(convert, rows)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        if not self.exists():
            raise DirectoryUnavailable(f"{connections.place(self.url)}: the file does not exist")
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, ArithmeticError, UnicodeError) as error:
            reason = connections.reason(self.url, error)
            raise DirectoryUnavailable(f"{connections.place(self.url)}: {reason}") from None


def _source(table: sa.Table, query: str | None) -> sa.FromClause:
    if query is None:
        return table
    columns = [sa.column(item.name, item.type) for item in table.columns]
    # The newline ends a comment on the query's last line.
    return sa.text(query.strip().rstrip(";") + "\n").columns(*columns).subquery(table.name)


def _has_table(connection: sa.Connection, table: sa.Table) -> bool:
    """Return whether the name is that of a table, and not of a view or a foreign table."""
    return table.name in sa.inspect(connection).get_table_names()


def _write(
    connection: sa.Connection,
    table: sa.Table,
    rows: Iterable[Tenant] | Iterable[Product],
    lacking: Collection[str] = (),
) -> int:
    """Write rows in chunks; raise DirectoryUnavailable for a value of a column that is missing."""
    statement = upsert_statement(table, connection.dialect.name, without=lacking)
    names = [name for name in table.columns.keys() if name not in lacking]  # noqa: SIM118
    values = ({name: getattr(row, name) for name in names} for row in _fitting(rows, lacking))
    written = 0
    while chunk := list(islice(values, _CHUNK_ROWS)):
        connection.execute(statement, chunk)
        written += len(chunk)
    return written


def _fitting(
    rows: Iterable[Tenant] | Iterable[Product], lacking: Collection[str]
) -> Iterator[Tenant | Product]:
    for row in rows:
        for name in lacking:
            if getattr(row, name) is not None:
                raise DirectoryUnavailable(
                    f"the table {TENANTS.name} lacks the column {name}, which this user may not add"
                )
        yield row
