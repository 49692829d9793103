"""Readers of other makes count and sum what the reports do, by the query that docs/ shows them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, QueryBuilder
from log_tools import DAY_S, Shop, event
from older_files import FIRST, SECOND, written_as

from etl import reports
from etl.lake.live.view import LiveView
from etl.lake.tables import EVENTS

PAGE = Path(__file__).parents[4] / "docs/other-readers.md"
SQL, PYTHON = (
    dedent(re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    for language in ("sql", "python")
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A lake with files of every generation, and sales that were signed later."""
    shop = Shop(tmp_path_factory.mktemp("readers") / "data")
    for number, generation in enumerate((FIRST, SECOND, EVENTS)):
        at_s = number * DAY_S
        shop.seal(
            event(at_s, bot=True),
            event(at_s + 1, visitor_id="ann", dedupe_key=f"id:e{at_s + 1:g}"),
            event(at_s + 2, visitor_id="ann", tenant_id=2),
            *(sale(at_s + 3 + index, f"{number}{index}") for index in range(3)),
        )
        with written_as(generation):
            shop.compact()
    shop.seal(
        sale(3 * DAY_S, "00", signed=True, value=7),
        sale(4 * DAY_S, "21", signed=True, value=8),
        sale(40 * DAY_S, "12", signed=True, value=9),  # too late to outrank it
    )
    shop.compact()
    yield shop


def sale(
    at_s: float, transaction: str, *, signed: bool | None = None, value: float = 1.25
) -> bytes:
    return event(
        at_s,
        endpoint="conversion",
        type="purchase",
        transaction_id=transaction,
        value=value,
        currency="HNL",
        dedupe_key=f"{'stx' if signed else 'tx'}:{transaction}",
        signed=signed,
    )


PER_TYPE = """
    SELECT tenant_id, type, count(*) FILTER (WHERE bot IS NOT TRUE) AS events, sum(value) AS value
    FROM events GROUP BY tenant_id, type
"""


def sums(table: pa.Table) -> dict[tuple[object, ...], tuple[object, ...]]:
    """Events and value of people, per tenant and type."""
    people = table.filter(pc.fill_null(pc.invert(table["bot"]), fill_value=True))
    grouped = people.group_by(["tenant_id", "type"]).aggregate(
        [([], "count_all"), ("value", "sum")]
    )
    return {
        (row["tenant_id"], row["type"]): (row["count_all"], row["value_sum"])
        for row in grouped.to_pylist()
    }


def by_sql(table: DeltaTable) -> pa.Table:
    """The rows that deltalake reads, and the page's query."""
    with duckdb.connect() as con:
        con.register("events", table.to_pyarrow_table())
        return con.sql(SQL).to_arrow_table()


def by_polars(table: DeltaTable) -> pa.Table:
    page: dict[str, Any] = {}
    exec(PYTHON, page)
    rows: pl.DataFrame = page["counted"](pl.scan_delta(table)).collect()
    return rows.to_arrow()


def expected(shop: Shop, version: int) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The same from the reports."""
    with LiveView(shop.data).connect(version=version) as con:
        summary = reports.run(con, "summary").rows
        values = {
            (row["tenant_id"], "purchase"): reports.run(
                con, "revenue", tenant=str(row["tenant_id"])
            ).rows
            for row in summary
        }
    return {
        (row["tenant_id"], type_): (
            row[type_],
            sum(each["value"] for each in values.get((row["tenant_id"], type_), [])) or None,
        )
        for row in summary
        for type_ in ("call", "purchase")
        if row[type_]
    }


@pytest.mark.parametrize("read", [by_sql, by_polars])
@pytest.mark.parametrize("version", [3, 4])
def test_its_numbers_are_those_of_the_reports(
    read: Callable[[DeltaTable], pa.Table], version: int, shop: Shop
) -> None:
    """Before and after sales were signed."""
    table = DeltaTable(shop.layout.table("events"), version=version)
    rows = read(table)
    assert rows.num_rows == {3: 18, 4: 19}[version]
    assert sums(rows) == expected(shop, version)


def test_datafusion_reads_the_table(shop: Shop) -> None:
    """In a query that skips no rows."""
    table = DeltaTable(shop.layout.table("events"), version=3)
    rows = QueryBuilder().register("events", table).execute(PER_TYPE).read_all()
    found = {(row["tenant_id"], row["type"]): row for row in pa.table(rows).to_pylist()}
    assert {key: (row["events"], row["value"]) for key, row in found.items()} == expected(shop, 3)
