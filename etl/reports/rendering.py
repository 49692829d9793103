"""A report's result as JSON, CSV, Parquet or Arrow, the same over HTTP and on the command line.

Times are ISO 8601 with their offset. Money is exact: in JSON without trailing zeros, in CSV with
all decimals, so that every row shows the type of a column. In CSV, booleans are true and false, and
all times of a column have one format. A CSV cell that a spreadsheet would run as a formula is
prefixed with an apostrophe.
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

from etl.plain import exact, iso
from etl.reports.result import Result

FORMATS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The formats of a result, and the media type of each."""

# The last four are = + - @ in full width: spreadsheets in East Asian locales accept them too.
_FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


def to_bytes(result: Result, format_: str) -> bytes:
    """Return a result in one of FORMATS."""
    if format_ == "json":
        return to_json(result)
    if format_ == "csv":
        return to_csv(result).encode()
    sink = io.BytesIO()
    if format_ == "parquet":
        pq.write_table(result.table, sink, compression="zstd")
    else:
        with pa.ipc.new_stream(sink, result.table.schema) as stream:
            stream.write_table(result.table)
    return sink.getvalue()


def to_json(result: Result) -> bytes:
    """Return {"report", "parameters", "rows": [...], "snapshot": {"version", "tail_events"}}.

    A report with pages also has "cursor".
    """
    rows = json_rows(result.rows)
    following = {"cursor": result.cursor} if "cursor" in result.parameters else {}
    return orjson.dumps(
        {
            "report": result.report,
            "parameters": result.parameters,
            "rows": rows,
            **following,
            "snapshot": {"version": result.version, "tail_events": result.tail_events},
        }
    )


def json_rows(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows with values that orjson can write."""
    return [{name: _json_value(value) for name, value in row.items()} for row in rows]


def csv_line(values: Iterable[object]) -> str:
    """Return one row of CSV with its line end; times to the microsecond."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_csv_cell(value) for value in values])
    return text.getvalue()


def to_csv(result: Result) -> str:
    """Return a header line and one line per row, each ended by CRLF (RFC 4180).

    A column whose times are all whole seconds, such as buckets, is written to the second.
    """
    rows = result.rows
    columns = [_csv_column([row[name] for row in rows]) for name in result.table.column_names]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(result.table.column_names)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(exact(value))
    if isinstance(value, datetime):
        return iso(value)
    return value.isoformat() if isinstance(value, date) else value


def _csv_column(values: list[object]) -> list[str]:
    moments = [value for value in values if isinstance(value, datetime)]
    if any(moment.microsecond for moment in moments):
        return [_csv_cell(value) for value in values]
    return [iso(value) if isinstance(value, datetime) else _csv_cell(value) for value in values]


def _csv_cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime():
            return iso(value, "microseconds")
        case str() if value.startswith(_FORMULA_STARTS):
            return f"'{value}"
    return str(value)
