"""Events as they are stored, a part at a time, for whoever wants them elsewhere.

    with lake.connect() as con:
        for part in export.parts(con, {"tenant": "la-colmena", "format": "csv"}, whose=None):
            file.write(part)

Nothing is sorted and nothing is held but the part at hand, so an export may be of any size.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Protocol

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from etl.reports import catalogue, parameters, rendering
from etl.reports.parameters import ParameterError

FORMATS = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""Every form of an export, and its media type."""
_ROWS_A_PART = 20_000
PARAMETERS: dict[str, object] = {
    "tenant": None,
    "from": None,
    "to": None,
    "tz": "UTC",
    "bots": False,
    "endpoint": None,
    "type": None,
    "product": None,
    "source": None,
}
_QUERY = """
    SELECT event_id, tenant_id, endpoint, type, product_id, transaction_id, value, currency,
           occurred_at, received_at, visitor_id, bot, metadata
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
"""


class _Writer(Protocol):
    def part(self, batch: pa.RecordBatch) -> bytes: ...
    def end(self) -> bytes: ...


def form_of(given: Mapping[str, str]) -> str:
    """The format that is asked for. Raises ParameterError."""
    form = given.get("format", "ndjson")
    if form not in FORMATS:
        raise ParameterError({"format": [f"takes one of {', '.join(FORMATS)}."]})
    return form


def schema(con: duckdb.DuckDBPyConnection) -> pa.Schema:
    """The columns of an export."""
    bound = {name: value for name, value in PARAMETERS.items() if name != "tz"}
    return con.sql(_QUERY, params=bound).limit(0).to_arrow_table().schema


def parameters_of() -> list[str]:
    """The names of what an export may be asked, `format` aside."""
    return list(PARAMETERS)


def parts(
    con: duckdb.DuckDBPyConnection, given: Mapping[str, str], *, whose: int | None
) -> Iterator[bytes]:
    """The events that the parameters choose. `whose`: see reports.run_locked.

    Raises ParameterError and NotYours before the first part.
    """
    form = form_of(given)
    asked = {name: text for name, text in given.items() if name != "format"}
    values, _ = parameters.parse(asked, PARAMETERS)
    values["tenant"] = catalogue.tenant_of(con, values["tenant"], whose)
    bound = {name: value for name, value in values.items() if name != "tz"}
    reader = con.sql(_QUERY, params=bound).to_arrow_reader(_ROWS_A_PART)
    return _written(reader, form)


def _written(reader: pa.RecordBatchReader, form: str) -> Iterator[bytes]:
    writer: _Writer
    match form:
        case "ndjson":
            writer = _Ndjson()
        case "csv":
            writer = _Csv(reader.schema)
        case "parquet":
            writer = _Sunk(pq.ParquetWriter, reader.schema)
        case _:
            writer = _Sunk(pa.ipc.new_stream, reader.schema)
    for batch in reader:
        yield writer.part(batch)
    yield writer.end()


class _Ndjson:
    def part(self, batch: pa.RecordBatch) -> bytes:
        rows = rendering.json_rows(batch.to_pylist())
        return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)

    def end(self) -> bytes:
        return b""


class _Csv:
    def __init__(self, schema: pa.Schema) -> None:
        self._head = rendering.csv_line(schema.names).encode()

    def part(self, batch: pa.RecordBatch) -> bytes:
        head, self._head = self._head, b""
        lines = "".join(rendering.csv_line(row.values()) for row in batch.to_pylist())
        return head + lines.encode()

    def end(self) -> bytes:
        return self._head


class _Sunk:
    """A writer of pyarrow's, whose bytes are taken away as they come."""

    def __init__(self, make: object, schema: pa.Schema) -> None:
        self._sink = _Sink()
        self._writer = make(self._sink, schema)  # type: ignore[operator]

    def part(self, batch: pa.RecordBatch) -> bytes:
        self._writer.write_batch(batch)
        return self._sink.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """What is written and not taken yet; it knows its place all the same."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(memoryview(data))  # type: ignore[arg-type]
        self._waiting.append(content)
        self._written += len(content)
        return len(content)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        """The bytes since the last time."""
        waiting, self._waiting = self._waiting, []
        return b"".join(waiting)
