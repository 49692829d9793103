"""The directory on real servers, PostgreSQL and MariaDB: its types, its failures, its connections.

Each test has databases of its own on servers that the module shares.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_servers import MariaDB, PostgreSQL, Server

from etl.directory import connections
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import PREFERENCES, DirectoryUnavailable, Product, Tenant

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
SHOP = Tenant(1, UUID, "shop", "Café ☕", "active")
CLOSED = Tenant(2, None, "closed", "Closed", "suspended")
HONDURAN = replace(SHOP, language="es", timezone="America/Tegucigalpa", currency="HNL")
LAMP = Product(7, 1, "Lamp", Decimal("12.5"))
DEADLINE_S = 60.0
NAMES = count()


@dataclass
class Database:
    """An empty database on a server."""

    server: Server
    url: sa.URL
    opened: list[DirectoryDatabase] = field(default_factory=list)

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as the administrator; return the rows of the last one."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                done = connection.exec_driver_sql(statement)
            return [tuple(row) for row in done] if done.returns_rows else []

    def directory(self, tenants: str | None = None, products: str | None = None, **url: object):
        """Return the directory that is read here."""
        changed = self.url.set(**url).render_as_string(hide_password=False)
        made = DirectoryDatabase(changed, tenants_query=tenants, products_query=products)
        self.opened.append(made)
        return made


@pytest.fixture(scope="module")
def postgresql_server() -> Iterator[Server]:
    server = PostgreSQL()
    yield server
    server.end()


@pytest.fixture(scope="module")
def mariadb_server() -> Iterator[Server]:
    server = MariaDB()
    yield server
    server.end()


@contextmanager
def new_database(server: Server, options: str = "") -> Iterator[Database]:
    """A database, whose directories are closed at the end."""
    name = f"shop{next(NAMES)}"
    administrators = sa.make_url(server.url)
    Database(server, administrators).execute(f"CREATE DATABASE {name} {options}")
    made = Database(server, administrators.set(database=name))
    yield made
    for directory in made.opened:
        directory.dispose()


@pytest.fixture
def postgresql(postgresql_server: Server) -> Iterator[Database]:
    with new_database(postgresql_server) as made:
        yield made


@pytest.fixture
def mariadb(mariadb_server: Server) -> Iterator[Database]:
    with new_database(mariadb_server) as made:
        yield made


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[None]:
    """Longer timeouts, because a busy machine may pause for as long as the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "CONNECT_TIMEOUT_S", 60)
        patch.setattr(connections, "QUERY_TIMEOUT_S", 60)
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter timeouts, so that a test of them takes seconds."""
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_S", 3)
    monkeypatch.setattr(connections, "QUERY_TIMEOUT_S", 2)
    monkeypatch.setattr(connections, "_END_QUERY", "SET max_statement_time=2")


def eventually(check: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not check():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


# -- our own tables ---------------------------------------------------------------------------


def test_what_was_imported_is_read_back(database):
    """Texts of any language and exact prices, also after a second import."""
    directory = database.directory()
    for _ in range(2):
        directory.create_tables()
        directory.upsert([CLOSED, SHOP], [LAMP, Product(8, 1, "Free", None)])
    assert directory.tenants() == [SHOP, CLOSED]
    assert sorted(directory.product_keys()) == [(1, 7), (1, 8)]
    assert LAMP in directory.products()


def test_a_database_without_an_encoding_is_read(postgresql_server):
    """PostgreSQL makes such ones where the locale is C."""
    with new_database(
        postgresql_server, "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    ) as database:
        directory = database.directory()
        directory.create_tables()
        directory.upsert([SHOP], [LAMP])
        assert directory.tenants() == [SHOP]
        assert list(directory.products()) == [LAMP]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"id": 1}, SHOP),
        ({"uuid": UUID.upper()}, SHOP),
        ({"slug": "shop"}, SHOP),
        ({"slug": "SHOP"}, None),
        ({"slug": "shöp"}, None),
        ({"slug": "shop\u00a0"}, None),
        ({"id": 3}, None),
    ],
)
def test_a_tenant_is_found_exactly(filled, wanted, expected):
    """Whatever the server takes for equal."""
    assert filled.find_tenant(**wanted) == expected
    assert filled.find_product(1, 7)
    assert not filled.find_product(2, 7)


@pytest.fixture(scope="module", params=["postgresql_server", "mariadb_server"])
def filled(request: pytest.FixtureRequest) -> Iterator[DirectoryDatabase]:
    """A directory that is only read."""
    with new_database(request.getfixturevalue(request.param)) as database:
        directory = database.directory()
        directory.create_tables()
        directory.upsert([SHOP, CLOSED], [LAMP])
        yield directory


def test_a_failing_import_changes_nothing(database):
    """A taken slug undoes all rows."""
    directory = database.directory()
    directory.create_tables()
    directory.upsert([SHOP], [LAMP])
    with pytest.raises(DirectoryUnavailable):
        directory.upsert([CLOSED, Tenant(3, None, "shop", "Copy", "active")], [])
    assert directory.tenants() == [SHOP]


def test_a_reader_needs_no_right_to_create(postgresql):
    """The tables exist, so a start asks for nothing that its user may not do."""
    postgresql.directory().create_tables()
    postgresql.execute(
        "CREATE ROLE reader LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"
    )
    reader = postgresql.directory(username="reader")
    reader.create_tables()
    assert reader.tenants() == []


def test_a_table_of_an_earlier_version_gets_the_new_columns(database):
    """It is read before that, too; an import then fills them."""
    directory = database.directory()
    directory.create_tables()
    for name in PREFERENCES:
        database.execute(f"ALTER TABLE tenants DROP COLUMN {name}")
    directory.upsert([SHOP], [])
    assert directory.tenants() == [SHOP]
    assert directory.find_tenant(slug="shop") == SHOP
    directory.create_tables()
    directory.upsert([HONDURAN], [])
    assert directory.tenants() == [HONDURAN]
    assert directory.find_tenant(slug="shop") == HONDURAN


def test_a_user_who_may_not_alter_reads_on(postgresql):
    """An import of a new column then says what is missing; an import without goes on."""
    postgresql.directory().create_tables()
    postgresql.execute(
        "ALTER TABLE tenants DROP COLUMN currency",
        "CREATE ROLE clerk LOGIN",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk",
    )
    clerk = postgresql.directory(username="clerk")
    clerk.create_tables()
    clerk.upsert([SHOP], [])
    with pytest.raises(DirectoryUnavailable, match="lacks the column currency"):
        clerk.upsert([HONDURAN], [])
    assert clerk.tenants() == [SHOP]


def test_a_view_is_never_altered(postgresql):
    """Nor is a table of another server."""
    postgresql.execute(
        "CREATE TABLE shops (id bigint, slug text)",
        "INSERT INTO shops VALUES (1, 'shop')",
        "CREATE VIEW tenants AS SELECT id, NULL::text AS uuid, slug, slug AS name,"
        " 'active' AS status FROM shops",
    )
    directory = postgresql.directory()
    directory.create_tables()
    assert directory.tenants() == [Tenant(1, None, "shop", "shop", "active")]


# -- an application's tables ------------------------------------------------------------------


def test_types_of_postgresql_are_read(postgresql):
    """UUID, enum, JSON, boolean, a double and a view's NULL."""
    postgresql.execute(
        "CREATE TYPE state AS ENUM ('active', 'closed')",
        "CREATE TABLE shops (id int, ref uuid, handle text, title jsonb, state state)",
        f"INSERT INTO shops VALUES (1, '{UUID}', 'shop', '{{\"es\": \"Café ☕\"}}', 'active')",
        "INSERT INTO shops VALUES (2, NULL, 'closed', NULL, 'closed')",
        "CREATE TABLE articles (id bigint, shop int, price double precision)",
        "INSERT INTO articles VALUES (7, 1, 0.1::double precision + 0.2), (8, 1, NULL)",
    )
    directory = postgresql.directory(
        "SELECT id, ref AS uuid, handle AS slug, title->>'es' AS name, state AS status FROM shops",
        "SELECT id, shop AS tenant_id, NULL AS name, price FROM articles",
    )
    assert directory.tenants() == [SHOP, Tenant(2, None, "closed", "", "closed")]
    assert directory.find_tenant(uuid=UUID) == SHOP
    assert directory.find_tenant(slug="shop") == SHOP
    prices = {product.id: product.price for product in directory.products()}
    assert prices == {7: Decimal("0.3"), 8: None}


def test_columns_of_another_name_are_no_preferences(postgresql):
    """PostgreSQL tells "timeZone" from timezone; of two columns with one name, none is read."""
    postgresql.execute(
        'CREATE TABLE shop (id int, uuid text, slug text, name text, status text, "timeZone" text)',
        "INSERT INTO shop VALUES (1, NULL, 'shop', 'Shop', 'active', 'America/Tegucigalpa')",
    )
    directory = postgresql.directory(
        "SELECT *, 'es' AS language, 'HNL' AS currency, 'USD' AS currency FROM shop"
    )
    shop = Tenant(1, None, "shop", "Shop", "active", language="es")
    assert directory.tenants() == [shop]
    assert directory.find_tenant(slug="shop") == shop


@pytest.mark.parametrize(
    ("tenant", "why"),
    [
        ("""1 AS id, NULL AS uuid, 'a' AS slug, '{"a":1}'::jsonb AS name, 'x' AS status""", "name"),
        ("9007199254740993 AS id, NULL AS uuid, 'a' AS slug, 'b' AS name, 'x' AS status", "2"),
        ("gen_random_uuid() AS id, NULL AS uuid, 'a' AS slug, 'b' AS name, 'x' AS status", "whole"),
        ("1 AS id, '\\x00'::bytea AS uuid, 'a' AS slug, 'b' AS name, 'x' AS status", "HEX"),
        ("1 AS id, 'a' AS slug", "uuid"),
    ],
)
def test_a_wrong_query_says_what_is_wrong(postgresql, tenant, why):
    """One line that names the column."""
    directory = postgresql.directory(f"SELECT {tenant}")
    with pytest.raises(DirectoryUnavailable, match=why) as caught:
        directory.tenants()
    assert "\n" not in str(caught.value)


def test_types_of_mysql_are_read(mariadb):
    """A number for a status, a binary UUID in hex, a zero date, old character sets."""
    mariadb.execute(
        "SET sql_mode=''",
        "CREATE TABLE shops (id BIGINT UNSIGNED, ref BINARY(16), handle VARCHAR(99) COLLATE"
        " utf8mb4_unicode_ci, title VARCHAR(99) CHARACTER SET latin1, open TINYINT(1),"
        " made DATETIME)",
        f"INSERT INTO shops VALUES (1, UNHEX('{UUID.replace('-', '')}'), 'café', 'Café', 1, 0)",
    )
    columns = "id, HEX(ref) AS uuid, handle AS slug, title AS name, made"
    directory = mariadb.directory(f"SELECT {columns}, open AS status FROM shops")
    shop = Tenant(1, UUID, "café", "Café", "1")
    assert directory.tenants() == [shop]
    assert not shop.is_public
    assert directory.find_tenant(uuid=UUID) == directory.find_tenant(slug="café") == shop
    assert directory.find_tenant(slug="cafe") is None
    assert directory.find_tenant(slug="CAFÉ") is None


def test_an_id_beyond_the_range_is_refused(mariadb):
    """BIGINT UNSIGNED holds more than an id may be."""
    mariadb.execute(
        "CREATE TABLE products (tenant_id BIGINT UNSIGNED, id BIGINT UNSIGNED, price INT)",
        "INSERT INTO products VALUES (1, 18446744073709551615, 1)",
    )
    directory = mariadb.directory()
    with pytest.raises(DirectoryUnavailable, match="id beyond"):
        list(directory.product_keys())


# -- the server fails -------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_a_hung_server_is_given_up(database):
    """On a connection from the pool, then on a new one; afterwards it is read again."""
    directory = database.directory()
    directory.create_tables()
    with database.server.hung():
        for _ in range(2):
            with pytest.raises(DirectoryUnavailable):
                directory.tenants()
    eventually(lambda: is_read(directory))


def is_read(directory: DirectoryDatabase) -> bool:
    """Whether the server answers within the short timeouts; on a busy machine it may be late."""
    with suppress(DirectoryUnavailable):
        return directory.tenants() == []
    return False


@pytest.mark.usefixtures("impatient")
def test_a_slow_query_is_given_up_in_the_server_too(database):
    """It would go on there, beside the next one."""
    sleep = "pg_sleep(600)" if database.server.port == 5432 else "SLEEP(600)"
    directory = database.directory(f"SELECT 1 AS id, {sleep} AS slug")
    with pytest.raises(DirectoryUnavailable):
        directory.tenants()
    running = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(600%%' AND state = 'active'"
        " AND pid <> pg_backend_pid()"
        if database.server.port == 5432
        else "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'"
    )
    eventually(lambda: not database.execute(running))


def test_a_restarted_server_is_read_at_once(database):
    """No call gets a connection of before."""
    directory = database.directory()
    directory.create_tables()
    database.server.kill()
    with pytest.raises(DirectoryUnavailable):
        directory.tenants()
    database.server.start()
    assert directory.tenants() == []
    database.server.kill()
    database.server.start()
    assert directory.find_tenant(id=1) is None


def test_no_transaction_is_left_open(database):
    """Not by a reader that stops midway, nor by a query that fails."""
    directory = database.directory()
    directory.create_tables()
    directory.upsert([SHOP], [Product(id_, 1, "x", None) for id_ in range(1, 7_000)])
    keys = directory.product_keys()
    next(keys)
    keys.close()
    wrong = database.directory("SELECT 1 AS id FROM nowhere")
    with pytest.raises(DirectoryUnavailable):
        wrong.tenants()
    open_ones = (
        "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
        if database.server.port == 5432
        else "SELECT 1 FROM information_schema.innodb_trx"
    )
    assert database.execute(open_ones) == []


# -- who may read -----------------------------------------------------------------------------

PASSWORD = "hush:/ p@ss"


def test_a_password_is_used_and_never_shown(database):
    """Characters of URLs in it are escaped; an error of the server does not repeat it."""
    if database.server.port == 5432:
        database.execute(f"CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    else:
        made = f"CREATE USER keeper IDENTIFIED BY '{PASSWORD}'"
        database.execute(made, "GRANT ALL ON *.* TO keeper")
    directory = database.directory(username="keeper", password=PASSWORD)
    directory.create_tables()
    assert directory.tenants() == []
    if database.server.port != 5432:  # PostgreSQL here trusts everybody
        wrong = database.directory(username="keeper", password="wrong-hush")
        with pytest.raises(DirectoryUnavailable, match="keeper") as caught:
            wrong.tenants()
        assert "wrong-hush" not in str(caught.value)


def test_tls_is_chosen_by_the_url(database, mariadb_server, postgresql_server):
    """A server whose certificate another authority signed is refused."""
    other = mariadb_server if database.server is postgresql_server else postgresql_server
    for authority, is_trusted in ((database.server, True), (other, False)):
        path = str(authority.certificate)
        query = (
            {"sslmode": "verify-full", "sslrootcert": path}
            if database.server is postgresql_server
            else {"ssl_ca": path}
        )
        directory = database.directory(query=query)
        if is_trusted:
            directory.connect()
        else:
            with pytest.raises(DirectoryUnavailable, match="certificate"):
                directory.connect()


# -- the worked example of docs/directory.md --------------------------------------------------

DOCS = Path(__file__).parents[4] / "docs" / "directory.md"
LARAVEL = {  # what the page's migrations create on each server
    "postgresql": """
        CREATE TABLE shops (id bigserial PRIMARY KEY, uuid uuid NOT NULL UNIQUE,
            slug varchar(255) NOT NULL UNIQUE, name varchar(255) NOT NULL,
            is_active boolean NOT NULL DEFAULT true, locale varchar(8) NOT NULL DEFAULT 'es_HN',
            timezone varchar(64) NOT NULL DEFAULT 'America/Tegucigalpa',
            currency char(3) NOT NULL DEFAULT 'HNL', created_at timestamp(0), updated_at
            timestamp(0), deleted_at timestamp(0));
        CREATE TABLE products (id bigserial PRIMARY KEY, shop_id bigint NOT NULL REFERENCES shops,
            name varchar(255) NOT NULL, price numeric(10, 2) NOT NULL, created_at timestamp(0),
            updated_at timestamp(0), deleted_at timestamp(0))""",
    "mysql": """
        CREATE TABLE shops (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, uuid char(36)
            NOT NULL UNIQUE, slug varchar(255) NOT NULL UNIQUE, name varchar(255) NOT NULL,
            is_active tinyint(1) NOT NULL DEFAULT 1, locale varchar(8) NOT NULL DEFAULT 'es_HN',
            timezone varchar(64) NOT NULL DEFAULT 'America/Tegucigalpa',
            currency char(3) NOT NULL DEFAULT 'HNL', created_at timestamp NULL, updated_at
            timestamp NULL, deleted_at timestamp NULL) CHARACTER SET utf8mb4 COLLATE
            utf8mb4_unicode_ci;
        CREATE TABLE products (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, shop_id
            bigint unsigned NOT NULL REFERENCES shops (id), name varchar(255) NOT NULL,
            price decimal(10, 2) NOT NULL, created_at timestamp NULL, updated_at timestamp NULL,
            deleted_at timestamp NULL) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci""",
}


def test_a_laravel_application_is_read_as_the_page_says(database):
    """Active shops are public; inactive and deleted ones are known, and not public."""
    database.execute(
        *LARAVEL[database.url.get_backend_name()].split(";"),
        f"INSERT INTO shops (id, uuid, slug, name) VALUES (1, '{UUID}', 'shop', 'Café ☕')",
        "INSERT INTO shops (id, uuid, slug, name, is_active) VALUES"
        f" (2, '{UUID[:-1]}c', 'paused', 'Paused', false)",
        "INSERT INTO shops (id, uuid, slug, name, deleted_at) VALUES"
        f" (3, '{UUID[:-1]}d', 'gone', 'Gone', '2026-11-01 10:00:00')",
        "INSERT INTO products (id, shop_id, name, price) VALUES (7, 1, 'Lamp', 12.5)",
        "INSERT INTO products (id, shop_id, name, price, deleted_at) VALUES"
        " (8, 1, 'Old', 1, '2026-11-01 10:00:00')",
    )
    blocks = re.findall(r"^```toml\n(.*?)^```", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    queries = tomllib.loads("".join(blocks))
    directory = database.directory(
        queries["directory_tenants_query"], queries["directory_products_query"]
    )
    statuses = [(tenant.slug, tenant.is_public) for tenant in directory.tenants()]
    assert statuses == [("shop", True), ("paused", False), ("gone", False)]
    assert directory.find_tenant(uuid=UUID) == directory.find_tenant(slug="shop") == HONDURAN
    assert list(directory.products()) == [LAMP]
    assert directory.find_product(1, 7)
    assert not directory.find_product(1, 8)
