"""CSV as machines read it: Polars and DuckDB infer the types, and find the values."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from log_tools import DAY_S, Shop, event, rejection

from etl import reports
from etl.lake.live.view import LiveView
from etl.reports import rendering
from etl.reports.export import Export
from etl.reports.sandbox import queries

INFERRED = {
    "decimal": (pl.Float64, ("DOUBLE", "DECIMAL")),
    "double": (pl.Float64, ("DOUBLE",)),
    "int": (pl.Int64, ("BIGINT",)),
    "bool": (pl.Boolean, ("BOOLEAN",)),
    "timestamp": (pl.Datetime, ("TIMESTAMP WITH TIME ZONE",)),
    "string": (pl.String, ("VARCHAR",)),
}
"""Kind of Arrow type -> the types that Polars and DuckDB take its text for."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("csv") / "data")
    sale = {"endpoint": "conversion", "type": "purchase", "currency": "HNL", "product_id": 7}
    shop.seal(
        *(event(n, **sale, value=280, transaction_id=f"T{n}", bot=False) for n in range(150)),
        event(200, **sale, value=0.5, transaction_id="T200", bot=True),
        event(201.5, visitor_id="ann", metadata={"source": "a,b"}),
        event(DAY_S, occurred_at="2026-11-24T00:00:00Z", visitor_id="bob"),
        rejection(1),
    )
    return shop


@pytest.fixture
def con(shop: Shop) -> Iterator[duckdb.DuckDBPyConnection]:
    with LiveView(shop.data).connect() as con:
        yield con


def exported(shop: Shop, format_: str) -> bytes:
    with closing(Export(LiveView(shop.data), {"format": format_})) as export:
        return b"".join(iter(export.next_part, None))


def kind_of(type_: pa.DataType) -> str:
    return next(kind for kind in INFERRED if str(type_).startswith(kind))


def check(text: bytes, table: pa.Table, path: Path) -> None:
    """Both readers infer the types of the columns that have values, and read the rows."""
    path.write_bytes(text)
    polars = pl.read_csv(path, try_parse_dates=True)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        read = con.sql(f"FROM read_csv('{path}')")
        types = dict(zip(read.columns, map(str, read.types), strict=True))
        rows = read.to_arrow_table().to_pylist()
    assert polars.columns == list(types) == table.column_names
    for field in table.schema:
        if table[field.name].null_count == table.num_rows:
            continue
        in_polars, in_duckdb = INFERRED[kind_of(field.type)]
        assert polars.schema[field.name] == in_polars, field
        assert types[field.name].startswith(in_duckdb), field
        expected = [plain(value) for value in table[field.name].to_pylist()]
        assert [plain(value) for value in polars[field.name].to_list()] == expected
        assert [plain(row[field.name]) for row in rows] == expected


def plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("tz", ["UTC", "America/Tegucigalpa"])
@pytest.mark.parametrize("name", reports.names())
def test_a_report_is_read_with_its_types(con, name, tz, tmp_path):
    """Decimals, whole numbers, booleans and times."""
    found = reports.run(con, name, tz=tz)
    check(rendering.to_csv(found).encode(), found.table, tmp_path / "report.csv")


def test_an_export_is_read_with_its_types(shop, tmp_path):
    """As a report."""
    text = exported(shop, "csv")
    arrow = exported(shop, "arrow")
    check(text, pa.ipc.open_stream(arrow).read_all(), tmp_path / "export.csv")


def test_amounts_keep_their_decimals_and_booleans_are_words(shop, con):
    """Whichever comes first."""
    text = exported(shop, "csv").decode()
    assert ",280.0000,HNL," in text
    assert ",false," in text
    assert "2026-11-24T00:00:00.000000Z" in text
    assert "HNL,150,42000.0000\r\n" in rendering.to_csv(reports.run(con, "revenue"))


@pytest.mark.parametrize(
    ("selected", "columns"),
    [
        ('1 AS "A", 2 AS a', ["A", "a"]),
        ("1 AS a, 2 AS a_1, 3 AS a", ["a", "a_1", "a_2"]),
        ("count(*), count(*)", ["count_star()", "count_star()_1"]),
        ('1 AS "x,y", 2 AS " ", 3 AS "é"', ["x,y", " ", "é"]),
    ],
)
def test_columns_of_a_query_keep_their_names(con, selected, columns):
    """Distinct ones as they are; one that comes again is numbered, so that no value is lost."""
    found = json.loads(b"".join(queries.json_parts(con, f"SELECT {selected}")))
    assert found["columns"] == columns
    assert list(found["rows"][0]) == columns
