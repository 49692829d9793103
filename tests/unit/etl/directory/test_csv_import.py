"""The CSV files that fill the directory: their forms, and the line of what is wrong with one."""

from dataclasses import replace
from pathlib import Path

import pytest
from directory_tools import HONDURAN, LAMP, SHOP, UUID, written
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED

from etl.directory.csv_import import DirectoryFileError, import_directory
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import ID_MAX, DirectoryCounts, Product, Tenant

TENANTS_HEADER = "id,uuid,slug,name,status\n"
PRODUCTS_HEADER = "id,tenant_id,name,price\n"


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


@settings(UNTIMED, max_examples=examples(50))
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
