"""A report's result as JSON, CSV, Parquet or Arrow, the same over HTTP and on the command line.

Times are ISO 8601 with their offset, money exact decimals without trailing zeros. A CSV cell that
a spreadsheet would run as a formula is prefixed with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from etl.reports import Result

FORMATS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""Every form of a result, and its media type."""

# The last four are = + - @ in full width, which spreadsheets in East Asian locales take alike.
_FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


def to_bytes(result: Result, form: str) -> bytes:
    """A result in one of FORMATS."""
    if form == "json":
        return to_json(result)
    if form == "csv":
        return to_csv(result).encode()
    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(result.table, sink, compression="zstd")
    else:
        with pa.ipc.new_stream(sink, result.table.schema) as stream:
            stream.write_table(result.table)
    return sink.getvalue()


def to_json(result: Result) -> bytes:
    """{"report", "parameters", "rows": [...], "snapshot": {"version", "tail_events"}}."""
    rows = json_rows(result.rows)
    return orjson.dumps(
        {
            "report": result.report,
            "parameters": result.parameters,
            "rows": rows,
            "snapshot": {"version": result.version, "tail_events": result.tail_events},
        }
    )


def json_rows(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows of values that orjson can write."""
    return [{name: _json_value(value) for name, value in row.items()} for row in rows]


def csv_line(values: Iterable[object]) -> str:
    """One row of CSV, its line end included."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_csv_cell(value) for value in values])
    return text.getvalue()


def to_csv(result: Result) -> str:
    """A header line and a line a row, CRLF between them (RFC 4180)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(result.table.column_names)
    for row in result.rows:
        writer.writerow([_csv_cell(value) for value in row.values()])
    return text.getvalue()


def plain(value: object) -> str:
    """A value as a person reads it; empty for none."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _iso(value)
    return f"{_exact(value)}" if isinstance(value, Decimal) else str(value)


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(_exact(value))
    if isinstance(value, datetime):
        return _iso(value)
    return value.isoformat() if isinstance(value, date) else value


def _csv_cell(value: object) -> str:
    text = plain(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text


def _exact(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
