"""The columns of every report and of an export, read by running each over an empty folder.

The SQL is their only source: no list of columns is kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from etl.lake.live.view import LiveView
from etl.reports import catalogue, execution, export


@dataclass(frozen=True, slots=True)
class Columns:
    """Column name -> JSON type, or `date-time`: for each report, and for an export."""

    of_reports: Mapping[str, Mapping[str, str]]
    of_export: Mapping[str, str]


@cache
def read() -> Columns:
    """Return the columns. The first call takes about half a second."""
    with _nothing() as con:
        schemas = {name: execution.run(con, name).table.schema for name in catalogue.names()}
        exported = export.schema(con)
    return Columns(
        {name: _json_types(schema) for name, schema in schemas.items()}, _json_types(exported)
    )


@cache
def of_report(name: str) -> pa.Schema:
    """Return the columns of a report and their types. Raises UnknownReport."""
    with _nothing() as con:
        return execution.run(con, name).table.schema


@contextmanager
def _nothing() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a live view without a row."""
    with TemporaryDirectory(prefix="beaconlog-") as folder, LiveView(Path(folder)).connect() as con:
        yield con


def _json_types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: _json_type(field.type) for field in schema}


def _json_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return "number"
    return "date-time" if pa.types.is_timestamp(kind) else "string"
