"""The directory at rest: its database, and how one that cannot be used is told."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from directory_tools import CLOSED, HONDURAN, LAMP, SHOP, UUID, written
from sqlalchemy.dialects import mysql, postgresql

from etl.directory import connections
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryCounts, DirectoryUnavailable, Product, Tenant
from etl.directory.schema import PRODUCTS, TENANTS, upsert_statement

FAR_FUTURE_S = 4e9


def test_what_was_imported_is_read_back(database):
    """Tenants come by id; prices are exact."""
    counts = database.upsert([CLOSED, SHOP], [LAMP, Product(8, 1, "Free", None)])
    assert counts == DirectoryCounts(tenants=2, products=2)
    assert database.tenants() == [SHOP, CLOSED]
    assert list(database.products()) == [LAMP, Product(8, 1, "Free", None)]
    assert set(database.product_keys()) == {(1, 7), (1, 8)}


def test_two_tenants_number_their_products_alike(database):
    """A product's id is unique within its tenant only."""
    other = Product(LAMP.id, 2, "Other", None)
    database.upsert([SHOP, CLOSED], [LAMP, other])
    assert sorted(database.products(), key=lambda each: each.tenant_id) == [LAMP, other]


def test_an_import_updates_what_is_there(database):
    """The primary key decides; what is not in the import stays."""
    database.upsert([SHOP, CLOSED], [LAMP])
    renamed = Tenant(1, None, "boutique", "Boutique", "closed")
    dearer = Product(7, 1, "Lamp", Decimal("99999999999.9999"))
    database.upsert([renamed], [dearer])
    assert database.tenants() == [renamed, CLOSED]
    assert list(database.products()) == [dearer]


def test_a_failing_import_changes_nothing(database):
    """A taken slug among many rows undoes all of them."""
    database.upsert([SHOP], [LAMP])
    taken = Tenant(3, None, "shop", "Copy", "active")
    with pytest.raises(DirectoryUnavailable, match="UNIQUE"):
        database.upsert([CLOSED, taken], [])
    assert database.tenants() == [SHOP]


def test_products_that_stop_midway_change_nothing(database):
    """An error in the caller's stream undoes the tenants too, and reaches the caller as it is."""

    def products():
        yield LAMP
        raise KeyError("stream")

    with pytest.raises(KeyError):
        database.upsert([SHOP], products())
    assert database.tenants() == []
    assert list(database.products()) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"id": 1}, SHOP),
        ({"uuid": UUID}, SHOP),
        ({"uuid": UUID.upper()}, SHOP),
        ({"slug": "shop"}, SHOP),
        ({"slug": "closed"}, CLOSED),
        ({"id": 1, "slug": "closed"}, None),
        ({"slug": "SHOP"}, None),
        ({"id": 3}, None),
        ({"id": 0}, None),
        ({"id": 2**200}, None),
        ({"slug": ""}, None),
        ({"slug": "a\0b"}, None),
        ({"slug": "\ud800"}, None),
        ({"uuid": "\ud800"}, None),
        ({"uuid": "shop"}, None),
        ({}, None),
    ],
)
def test_a_tenant_is_found_exactly(database, wanted, expected):
    """By id, UUID or slug; what cannot be one finds nothing and breaks nothing."""
    database.upsert([SHOP, CLOSED], [])
    assert database.find_tenant(**wanted) == expected


def test_a_product_is_found_for_its_tenant_only(database):
    """The same id under another tenant is another product."""
    database.upsert([SHOP, CLOSED], [LAMP])
    assert database.find_product(1, 7)
    assert not database.find_product(2, 7)
    assert not database.find_product(1, 2**200)


def test_reading_creates_no_file(tmp_path):
    """A database that is not there is said so, and is still not there."""
    path = tmp_path / "missing.db"
    database = DirectoryDatabase(f"sqlite:///{path}")
    assert not database.exists()
    for ask in (database.tenants, lambda: database.find_product(1, 7)):
        with pytest.raises(DirectoryUnavailable, match="does not exist"):
            ask()
    assert not path.exists()


def test_making_tables_again_keeps_what_they_hold(database):
    """create_tables is idempotent, and SQLite stands in WAL mode after it."""
    database.upsert([SHOP], [LAMP])
    database.create_tables()
    assert database.exists()
    assert database.tenants() == [SHOP]
    with closing(sqlite3.connect(database._file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_goes_on_during_an_import(database):
    """Before its end nothing of an import is seen, and nothing waits."""
    database.upsert([SHOP], [])

    def products():
        assert database.tenants() == [SHOP]
        yield LAMP
        assert list(database.products()) == []

    database.upsert([CLOSED], products())
    assert list(database.products()) == [LAMP]


def test_a_replaced_file_is_seen(database, tmp_path):
    """No connection holds on to a file that was moved away."""
    database.upsert([SHOP], [])
    other = DirectoryDatabase(f"sqlite:///{tmp_path}/other.db")
    other.create_tables()
    other.upsert([CLOSED], [])
    (tmp_path / "other.db").replace(tmp_path / "folder" / "directory.db")
    assert database.tenants() == [CLOSED]


def test_a_table_of_an_earlier_version_is_read_and_extended(tmp_path):
    """By the next start or import, which keeps what it holds."""
    database = DirectoryDatabase(f"sqlite:///{tmp_path}/directory.db")
    with closing(sqlite3.connect(tmp_path / "directory.db")) as connection, connection:
        connection.executescript(f"""
            CREATE TABLE tenants (id BIGINT NOT NULL PRIMARY KEY, uuid VARCHAR(36) UNIQUE,
                slug VARCHAR(255) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL,
                status VARCHAR(32) NOT NULL);
            INSERT INTO tenants VALUES (1, '{UUID}', 'shop', 'Shop', 'active');
        """)
    assert database.tenants() == [SHOP]
    assert database.find_tenant(id=1) == SHOP
    for _ in range(2):
        database.create_tables()
    assert database.tenants() == [SHOP]
    database.upsert([HONDURAN], [])
    assert database.tenants() == [HONDURAN]


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    """So is a folder that cannot be made."""
    written(tmp_path, "junk.db", "junk" * 1000)
    with pytest.raises(DirectoryUnavailable, match="not a database"):
        DirectoryDatabase(f"sqlite:///{tmp_path}/junk.db").tenants()
    with pytest.raises(DirectoryUnavailable):
        DirectoryDatabase(f"sqlite:///{tmp_path}/junk.db/below/directory.db").create_tables()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "postgresql://me:hush@h:port/db", "nosuch://me:hush@h/db"]
)
def test_a_bad_url_is_refused_without_its_password(url):
    """One line, before any connection."""
    with pytest.raises(DirectoryUnavailable, match="not a database URL") as caught:
        DirectoryDatabase(url)
    assert "hush" not in str(caught.value)


def test_a_database_error_hides_the_password():
    """Even where the driver repeats it."""
    url = sa.make_url("postgresql://me:hush@db/shop?sslpassword=quiet&sslmode=require")
    text = connections.reason(url, OSError("login hush failed,\nquiet too"))
    assert text == "login *** failed, *** too"
    for shown in (connections.place(url), connections.without_secrets(url)):
        assert "hush" not in shown
        assert "quiet" not in shown
    assert connections.without_secrets(url) == "postgresql://me:***@db/shop?sslmode=require"


@pytest.mark.parametrize("table", [TENANTS, PRODUCTS])
@pytest.mark.parametrize(
    ("name", "dialect", "clause"),
    [
        ("postgresql", postgresql.dialect(), "ON CONFLICT"),
        ("mysql", mysql.dialect(), "ON DUPLICATE KEY UPDATE"),
        ("mariadb", mysql.dialect(), "ON DUPLICATE KEY UPDATE"),
    ],
)
def test_servers_get_their_own_upsert(table, name, dialect, clause):
    """Everything but the primary key is updated."""
    statement = str(upsert_statement(table, name).compile(dialect=dialect))
    updated = statement.split(clause)[1]
    assert "name = " in updated
    assert "id = excluded" not in updated.replace("uuid = excluded", "")


def test_other_servers_are_refused():
    """A dialect without a known upsert is said so."""
    with pytest.raises(DirectoryUnavailable, match="oracle"):
        upsert_statement(TENANTS, "oracle")


def test_a_name_that_a_driver_cannot_decode_makes_the_directory_unreadable(
    database: DirectoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so the last snapshot goes on serving."""

    def execute(*_: object, **__: object) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(sa.Connection, "execute", execute)
    with pytest.raises(DirectoryUnavailable, match="invalid start byte"):
        database.tenants()


def test_a_write_to_the_target_of_a_link_changes_the_state(tmp_path: Path) -> None:
    """SQLite writes its log beside the target."""
    target, link = tmp_path / "target.db", tmp_path / "link" / "directory.db"
    link.parent.mkdir()
    link.symlink_to(target)
    database = DirectoryDatabase(f"sqlite:///{link}")
    database.create_tables()
    database.upsert([SHOP], [])
    with closing(sqlite3.connect(target)) as other:  # an open connection, so the log is kept
        other.execute("SELECT count(*) FROM tenants").fetchone()
        before = database.state(FAR_FUTURE_S)
        database.upsert([CLOSED], [])
        assert database.state(FAR_FUTURE_S) != before
