"""A result as JSON and CSV: exact numbers, times with their offset, cells no spreadsheet runs."""

import csv
import io
import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.plain import plain
from etl.reports import Result, rendering

UTC_TIME = pa.timestamp("us", tz="UTC")
MOMENT = datetime(2026, 11, 23, 4, 10, 0, 123456, ZoneInfo("UTC"))


def result(**columns: pa.Array) -> Result:
    return Result("any", {"tenant": None}, pa.table(columns), 7, 3)


def as_json(found: Result) -> dict:
    return json.loads(rendering.to_json(found), parse_float=Decimal)


def as_csv(found: Result) -> list[list[str]]:
    return list(csv.reader(io.StringIO(rendering.to_csv(found), newline="")))


def test_json_tells_report_parameters_rows_and_snapshot():
    """In this order; a table that does not exist has no version."""
    found = result(events=pa.array([1, 2]), type=pa.array(["view", None]))
    assert rendering.to_json(found) == (
        b'{"report":"any","parameters":{"tenant":null},'
        b'"rows":[{"events":1,"type":"view"},{"events":2,"type":null}],'
        b'"snapshot":{"version":7,"tail_events":3}}'
    )
    empty = Result("any", {}, pa.table({"a": pa.array([], pa.int64())}), None, 0)
    assert as_json(empty)["rows"] == []
    assert as_json(empty)["snapshot"] == {"version": None, "tail_events": 0}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("100.5000", "100.5"),
        ("100.0000", "100"),
        ("0.0001", "0.0001"),
        ("-12.3400", "-12.34"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("0.0000", "0"),
        ("1200", "1200"),
    ],
)
def test_money_is_exact(value, text):
    """Every digit, never an exponent; in JSON none too many, in CSV all decimals."""
    column = pa.array([Decimal(value)], pa.decimal128(38, 4))
    assert f'"value":{text}}}'.encode() in rendering.to_json(result(value=column))
    assert as_csv(result(value=column))[1] == [f"{Decimal(value):.4f}"]


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=4, min_value=-(10**14), max_value=10**14
    )
)
def test_any_amount_is_read_back_as_it_is(amount):
    """From JSON as a number and from CSV as text."""
    found = result(value=pa.array([amount], pa.decimal128(38, 4)))
    (row,) = as_json(found)["rows"]
    assert Decimal(row["value"]) == amount
    assert Decimal(as_csv(found)[1][0]) == amount


def test_times_have_their_offset():
    """UTC as Z; another zone's as it is there."""
    found = result(at=pa.array([MOMENT], UTC_TIME), day=pa.array([date(2026, 11, 23)]))
    assert as_json(found)["rows"] == [{"at": "2026-11-23T04:10:00.123456Z", "day": "2026-11-23"}]
    there = replace(found, zone=ZoneInfo("America/Tegucigalpa"))
    assert as_json(there)["rows"][0]["at"] == "2026-11-22T22:10:00.123456-06:00"
    assert as_csv(there)[1] == ["2026-11-22T22:10:00.123456-06:00", "2026-11-23"]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=cmd|' /C calc'!A0",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20a",
    ],
)
def test_a_cell_that_would_run_is_quoted(text):
    """An apostrophe makes it text; JSON needs none."""
    found = result(name=pa.array([text]))
    assert as_csv(found)[1] == [f"'{text}"]
    assert as_json(found)["rows"] == [{"name": text}]


def test_what_a_spreadsheet_takes_for_a_number_stays_one():
    """A negative amount is no formula."""
    found = result(value=pa.array([Decimal(-5)], pa.decimal128(18, 4)), events=pa.array([-1]))
    assert as_csv(found)[1] == ["-5.0000", "-1"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_any_text_stays_in_its_cell(texts):
    """Commas, quotes and line breaks are no structure."""
    found = result(**{f"c{index}": pa.array([text]) for index, text in enumerate(texts)})
    header, row = as_csv(found)
    assert header == [f"c{index}" for index in range(len(texts))]
    assert [cell.removeprefix("'") for cell in row] == [text.removeprefix("'") for text in texts]


def test_csv_lines_end_as_the_standard_says():
    """CRLF; a missing value is an empty cell; without rows there is the header."""
    found = result(a=pa.array(["x", None]), b=pa.array([True, False]))
    assert rendering.to_csv(found) == "a,b\r\nx,true\r\n,false\r\n"
    assert rendering.to_csv(result(a=pa.array([], pa.int64()))) == "a\r\n"


def test_plain_text_is_for_people():
    """Empty for none."""
    values = (None, Decimal("1.50"), MOMENT, date(2026, 11, 23), 5, "text")
    assert [plain(value) for value in values] == [
        "",
        "1.5",
        "2026-11-23T04:10:00.123456Z",
        "2026-11-23",
        "5",
        "text",
    ]
