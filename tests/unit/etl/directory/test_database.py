"""The directory at rest: its database, and the CSV files that fill it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql

from etl.directory import connections
from etl.directory.csv_import import DirectoryFileError, import_directory
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import ID_MAX, DirectoryCounts, DirectoryUnavailable, Product, Tenant
from etl.directory.schema import PRODUCTS, TENANTS, upsert_statement

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
SHOP = Tenant(1, UUID, "shop", "Shop", "active")
CLOSED = Tenant(2, None, "closed", "Closed", "suspended")
HONDURAN = replace(SHOP, language="es", timezone="America/Tegucigalpa", currency="HNL")
LAMP = Product(7, 1, "Lamp", Decimal("12.5"))
TENANTS_HEADER = "id,uuid,slug,name,status\n"
PRODUCTS_HEADER = "id,tenant_id,name,price\n"
FAR_FUTURE_S = 4e9


@pytest.fixture
def database(tmp_path):
    database = DirectoryDatabase(f"sqlite:///{tmp_path}/folder/directory.db")
    database.create_tables()
    return database


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def empty_database(beside: Path) -> DirectoryDatabase:
    """Return a database without tables; one in memory would stay open."""
    path = beside.with_suffix(".db")
    path.unlink(missing_ok=True)
    return DirectoryDatabase(f"sqlite:///{path}")


def read_tenants(path: Path) -> list[Tenant]:
    """The tenants of a file, as an import leaves them in an empty directory."""
    database = empty_database(path)
    import_directory(database, path)
    return database.tenants()


def read_products(path: Path) -> list[Product]:
    """The products of a file, all of them SHOP's, as `read_tenants`."""
    database = empty_database(path)
    tenants = written(path.parent, "tenants.csv", f"{TENANTS_HEADER}1,,shop,Shop,active\n")
    import_directory(database, tenants, path)
    return sorted(database.products(), key=lambda product: product.id)


def refusal(read, path: Path) -> str:
    with pytest.raises(DirectoryFileError) as caught:
        list(read(path))
    return str(caught.value)


def open_files() -> set[str]:
    """The files this process has open."""
    links = Path("/proc/self/fd").iterdir()
    return {str(link.readlink()) for link in links if link.is_symlink()}


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


def test_files_are_read_in_any_order_of_columns(tmp_path):
    """Extra columns, a BOM, blank lines, CRLF, quotes and capitals in UUIDs are taken."""
    content = (
        f'\ufeffname,more,status,slug,uuid,id\r\n"Shop",x,active,shop,{UUID.upper()},1\r\n\r\n'
    )
    assert read_tenants(written(tmp_path, "t.csv", content)) == [SHOP]
    content = 'price,name,tenant_id,id\n12.50,Lamp,1,7\n,"Lamp, ""big""",1,8\n'
    big = Product(8, 1, 'Lamp, "big"', None)
    assert list(read_products(written(tmp_path, "p.csv", content))) == [LAMP, big]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("0,,shop,Shop,active", "id must be a whole number from 1 to 2^53-1"),
        (f"{ID_MAX + 1},,shop,Shop,active", "id must be a whole number from 1 to 2^53-1"),
        ("1.0,,shop,Shop,active", "id must be a whole number from 1 to 2^53-1"),
        ("\u0661,,shop,Shop,active", "id must be a whole number from 1 to 2^53-1"),
        (",,shop,Shop,active", "id must be a whole number from 1 to 2^53-1"),
        ("1,shop,shop,Shop,active", "uuid must be a UUID or empty"),
        ("1,,,Shop,active", "slug must be 1 to 255 characters without blanks"),
        ("1,,my shop,Shop,active", "slug must be 1 to 255 characters without blanks"),
        (f"1,,{'s' * 256},Shop,active", "slug must be 1 to 255 characters without blanks"),
        ("1,,shop, ,active", "name must be 1 to 255 characters on one line"),
        (f"1,,shop,{'n' * 256},active", "name must be 1 to 255 characters on one line"),
        ('1,,shop,"a\nb",active', "name must be 1 to 255 characters on one line"),
        ("1,,shop,Shop,", "status must be a word, such as active"),
        ("1,,shop,Shop,very active", "status must be a word, such as active"),
        ("1,,shop,Shop", "has 4 cells where the header has 5"),
        ("1,,shop,Shop,active,x", "has 6 cells where the header has 5"),
        ("1,,sh\0op,Shop,active", "holds a NUL character"),
        (f"8,{UUID.upper()},other,Other,active", "uuid is the same as on line 2"),
        ("9,,other,Other,active", "id is the same as on line 2"),
        ("8,,first,Other,active", "slug is the same as on line 2"),
    ],
)
def test_a_bad_tenant_names_its_line(tmp_path, row, why):
    """One line: the file, the line, what is wrong."""
    first = f"9,{UUID},first,First,active\n"
    path = written(tmp_path, "tenants.csv", f"{TENANTS_HEADER}{first}{row}\n")
    line = 3 + row.count("\n")
    assert refusal(read_tenants, path) == f"tenants.csv, line {line}: {why}"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("fr,,", "language must be en or es, or empty"),
        (",Honduras,", "timezone must be a zone such as America/Tegucigalpa, or empty"),
        (",../etc,", "timezone must be a zone such as America/Tegucigalpa, or empty"),
        (",,Lempira", "currency must be a code of ISO 4217 such as HNL, or empty"),
        (",,ZZZ", "currency must be a code of ISO 4217 such as HNL, or empty"),
    ],
)
def test_a_bad_language_zone_or_currency_names_its_line(tmp_path, cells, why):
    """As every other mistake."""
    header = TENANTS_HEADER.replace("\n", ",language,timezone,currency\n")
    path = written(tmp_path, "tenants.csv", f"{header}1,,shop,Shop,active,{cells}\n")
    assert refusal(read_tenants, path) == f"tenants.csv, line 2: {why}"


def test_optional_columns_change_only_what_they_say(tmp_path, database):
    """A file without a column keeps the values there are; an empty cell removes one."""
    first = f"currency,{TENANTS_HEADER.strip()},timezone,language\n"
    row = f"hnl,1,{UUID},shop,Shop,active,America/Tegucigalpa,ES\n"
    import_directory(database, written(tmp_path, "first.csv", first + row))
    assert database.tenants() == [HONDURAN]
    again = f"{TENANTS_HEADER}1,{UUID},shop,Shop,active\n"
    import_directory(database, written(tmp_path, "again.csv", again))
    assert database.tenants() == [HONDURAN]
    emptied = f"{TENANTS_HEADER.strip()},language,currency\n1,{UUID},shop,Shop,active,,USD\n"
    import_directory(database, written(tmp_path, "emptied.csv", emptied))
    assert database.tenants() == [replace(HONDURAN, language=None, currency="USD")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("x,1,Lamp,1", "id must be a whole number from 1 to 2^53-1"),
        ("1,-1,Lamp,1", "tenant_id must be a whole number from 1 to 2^53-1"),
        ("9,1,Lamp,", "this tenant has a product of this id above"),
        *(
            (
                f"1,1,Lamp,{price}",
                "price must be a number of 0 or more, below 10^11, with at most 4 decimals",
            )
            for price in ("-1", "x", "nan", "1e3", "1.00001", "1.", ".5", "9" * 12, " 1")
        ),
    ],
)
def test_a_bad_product_names_its_line(tmp_path, row, why):
    """Prices are plain decimals that every database keeps exactly."""
    path = written(tmp_path, "products.csv", f"{PRODUCTS_HEADER}9,1,First,1.2500\n{row}\n")
    assert refusal(read_products, path) == f"products.csv, line 3: {why}"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", ": the file is empty"),
        (b"id,uuid,slug,name\n", ", line 1: the column status is missing"),
        (b"id,uuid,slug,name,status,id\n", ", line 1: the column id is there twice"),
        (
            b"id,uuid,slug,name,status,currency,currency\n",
            ", line 1: the column currency is there twice",
        ),
        (TENANTS_HEADER.encode() + b"1,,shop,Sh\xffop,active\n", ", line 2: is not UTF-8"),
        (TENANTS_HEADER.encode("utf-16"), ", line 1: holds a NUL character"),
        (TENANTS_HEADER.encode() + b'1,,"shop', ", line 2: not CSV: unexpected end of data"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, content, why):
    """Whatever was given instead of a CSV file."""
    assert refusal(read_tenants, written(tmp_path, "t.csv", content)) == f"t.csv{why}"


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path):
    """Missing, or a folder."""
    why = refusal(read_products, tmp_path / "p.csv")
    assert why == "p.csv: cannot be read: No such file or directory"
    assert "cannot be read" in refusal(read_tenants, tmp_path)


@pytest.mark.parametrize("read", [read_tenants, read_products])
@pytest.mark.parametrize("bad", ["x,y\n", "0,,,,\n", "1,\n\xff"])
def test_a_refused_file_is_closed_at_once(tmp_path, read, bad):
    """Also while somebody still looks at the error."""
    header = TENANTS_HEADER if read is read_tenants else PRODUCTS_HEADER
    path = written(tmp_path, "any.csv", header + bad)
    with pytest.raises(DirectoryFileError) as caught:
        list(read(path))
    assert caught.tb is not None
    assert str(path) not in open_files()


def test_a_refused_import_closes_both_files(tmp_path, database):
    """Though the second was being streamed into the database."""
    tenants = written(tmp_path, "t.csv", f"{TENANTS_HEADER}1,,shop,Shop,active\n")
    products = written(tmp_path, "p.csv", f"{PRODUCTS_HEADER}7,3,Lamp,\n7,1,Lamp,\n")
    with pytest.raises(DirectoryFileError) as caught:
        import_directory(database, tenants, products)
    assert caught.tb is not None
    assert not {str(tenants), str(products)} & open_files()


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(), st.binary().map(TENANTS_HEADER.encode().__add__)))
def test_any_bytes_are_tenants_or_one_line(tmp_path, content):
    """A file never breaks the reader in another way."""
    path = written(tmp_path, "any.csv", content)
    try:
        tenants = read_tenants(path)
    except DirectoryFileError as error:
        assert str(error).startswith("any.csv")
        assert "\n" not in str(error)
    else:
        assert all(0 < tenant.id <= ID_MAX for tenant in tenants)


@pytest.fixture
def empty(tmp_path):
    return DirectoryDatabase(f"sqlite:///{tmp_path}/new/directory.db")


def test_an_import_makes_the_database(tmp_path, empty):
    """Both files, counted; doing it again changes nothing."""
    tenants = written(tmp_path, "t.csv", f"{TENANTS_HEADER}1,{UUID},shop,Shop,active\n")
    products = written(tmp_path, "p.csv", f"{PRODUCTS_HEADER}7,1,Lamp,12.50\n")
    for _ in range(2):
        assert import_directory(empty, tenants, products) == DirectoryCounts(1, 1)
        assert empty.tenants() == [SHOP]
        assert list(empty.products()) == [LAMP]


def test_an_import_takes_products_of_tenants_already_there(tmp_path, database):
    """A tenant in the database need not be in the file; without products they are left alone."""
    database.upsert([SHOP], [])
    tenants = written(tmp_path, "t.csv", TENANTS_HEADER)
    products = written(tmp_path, "p.csv", f"{PRODUCTS_HEADER}7,1,Lamp,12.50\n")
    assert import_directory(database, tenants, products) == DirectoryCounts(0, 1)
    assert import_directory(database, tenants) == DirectoryCounts(0, 0)
    assert list(database.products()) == [LAMP]


def test_a_product_of_no_tenant_stops_the_import(tmp_path, database):
    """Nothing of either file is in the database then."""
    tenants = written(tmp_path, "t.csv", f"{TENANTS_HEADER}1,,shop,Shop,active\n")
    products = written(tmp_path, "p.csv", f"{PRODUCTS_HEADER}7,1,Lamp,\n7,3,Lamp,\n")
    with pytest.raises(DirectoryFileError) as caught:
        import_directory(database, tenants, products)
    assert str(caught.value) == "p.csv, line 3: tenant_id is of no known tenant"
    assert database.tenants() == []


@pytest.mark.parametrize(
    ("row", "column"), [(f"3,{UUID},new,New,active", "uuid"), ("3,,shop,New,active", "slug")]
)
def test_what_another_tenant_has_stops_the_import(tmp_path, database, row, column):
    """A slug or a UUID never moves silently from one tenant to another."""
    database.upsert([SHOP], [])
    tenants = written(tmp_path, "t.csv", f"{TENANTS_HEADER}{row}\n")
    with pytest.raises(DirectoryFileError) as caught:
        import_directory(database, tenants)
    assert str(caught.value) == f"t.csv, line 2: {column} belongs to another tenant already"
    assert database.tenants() == [SHOP]


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
