"""The tables of an application, read through queries and never written."""

import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from directory_tools import HONDURAN, LAMP, SHOP, UUID

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable, Product, Tenant


@pytest.fixture
def application(tmp_path):
    """An application's own tables: UUIDs without hyphens in upper case, a boolean for status."""
    path = tmp_path / "application.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"""
            CREATE TABLE shops (shop_id INTEGER, guid TEXT, handle TEXT, title TEXT, live INTEGER);
            CREATE TABLE articles (shop INTEGER, number INTEGER, label TEXT, cost REAL);
            INSERT INTO shops VALUES (1, '{UUID.replace("-", "").upper()}', 'shop', 'Shop', 1);
            INSERT INTO shops VALUES (2, NULL, NULL, NULL, 0);
            INSERT INTO articles VALUES (1, 7, 'Lamp', 12.5), (1, 8, NULL, NULL);
        """)
    return DirectoryDatabase(
        f"sqlite:///{path}",
        tenants_query="""
            SELECT shop_id AS id, guid AS uuid, handle AS slug, title AS name,
                   CASE WHEN live THEN 'active' ELSE 'closed' END AS status, 'more' AS more
            FROM shops  -- all of them""",
        products_query="SELECT number AS id, shop AS tenant_id, label AS name, cost AS price"
        " FROM articles;",
    )


def test_an_applications_tables_are_read_through_queries(application):
    """Their columns take the directory's names and forms; NULLs become empty."""
    assert application.tenants() == [SHOP, Tenant(2, None, "", "", "closed")]
    assert list(application.products()) == [LAMP, Product(8, 1, "", None)]
    assert set(application.product_keys()) == {(1, 7), (1, 8)}
    assert application.find_tenant(uuid=UUID) == SHOP
    assert application.find_tenant(slug="shop") == SHOP
    assert application.find_tenant(id=3) is None
    assert application.find_product(1, 7)


def test_an_applications_tables_are_never_written(application):
    """With queries no table is made and nothing imported."""
    application.create_tables()
    with pytest.raises(DirectoryUnavailable, match="import into its source"):
        application.upsert([SHOP], [])
    with closing(sqlite3.connect(application._file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    assert names == [("articles",), ("shops",)]


def test_a_query_may_have_languages_zones_and_currencies(database):
    """In the forms of applications; one that means nothing is none, and stops nothing."""
    rows = "(1, 'ES_hn', 'America/Tegucigalpa', 'hnl'), (2, 'en', 'Mars', ''), (3, 7, NULL, 'XX1')"
    directory = DirectoryDatabase(
        str(database.url),
        tenants_query=f"""
            SELECT column1 AS id, NULL AS uuid, 's' || column1 AS slug, 'S' AS name,
                   'active' AS status, column2 AS LANGUAGE, column3 AS timezone,
                   column4 AS currency
            FROM (VALUES {rows})""",
    )
    read = [(each.language, each.timezone, each.currency) for each in directory.tenants()]
    assert read == [("es", "America/Tegucigalpa", "HNL"), ("en", None, None), (None, None, None)]
    assert directory.find_tenant(slug="s1") == directory.tenants()[0]


def test_a_column_that_goes_away_stops_no_look_up_for_long(database):
    """The look-up that fails is the last one to ask for it."""
    database.upsert([HONDURAN], [])
    with closing(sqlite3.connect(database._file)) as connection, connection:
        connection.execute("CREATE VIEW shops AS SELECT * FROM tenants")
    directory = DirectoryDatabase(str(database.url), tenants_query="SELECT * FROM shops")
    assert directory.find_tenant(slug="shop") == HONDURAN
    with closing(sqlite3.connect(database._file)) as connection, connection:
        connection.execute("DROP VIEW shops")
        connection.execute("CREATE VIEW shops AS SELECT id, uuid, slug, name, status FROM tenants")
    with pytest.raises(DirectoryUnavailable):
        directory.find_tenant(slug="shop")
    assert directory.find_tenant(slug="shop") == SHOP


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT 1 AS id", "no such column"),
        ("SELECT FROM", "syntax error"),
        ("SELECT 'x' AS id, 'x' AS uuid, 'x' AS slug, 'x' AS name, 'x' AS status", "whole number"),
    ],
)
def test_a_wrong_query_is_one_clear_line(database, query, why):
    """The message of the database, without the statement around it."""
    wrong = DirectoryDatabase(str(database._engine.url), tenants_query=query)
    with pytest.raises(DirectoryUnavailable, match=why) as caught:
        wrong.tenants()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE articles SET cost = 'much'", "price is not a number below 10"),
        ("UPDATE articles SET cost = 1e14", "price is not a number below 10"),
        ("UPDATE articles SET cost = 9e999", "price is not a number below 10"),
        ("UPDATE articles SET number = 9007199254740992", "id beyond 2"),
        ("UPDATE articles SET shop = 'one'", "id that is not a whole number"),
        ("UPDATE articles SET label = x'00'", "name is bytes, not text; convert it"),
    ],
)
def test_a_row_without_a_meaning_is_unavailable(application, change, why):
    """It is a fault of the directory, never a crash, and never half an answer."""
    with closing(sqlite3.connect(application._file)) as connection, connection:
        connection.execute(change)
    with pytest.raises(DirectoryUnavailable, match=why):
        list(application.products())


def test_a_price_is_rounded_to_what_reports_keep(application):
    """A float has digits that nobody wrote."""
    with closing(sqlite3.connect(application._file)) as connection, connection:
        connection.execute("UPDATE articles SET cost = 0.1 + 0.2")
    assert {product.price for product in application.products()} == {Decimal("0.3")}
