"""The writers of an export's formats: from batches of rows to parts of a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from etl.lake.errors import LakeError
from etl.reports import rendering

FORMATS = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The formats of an export, and the media type of each."""


class _Writer(Protocol):
    def part(self, batch: pa.RecordBatch) -> bytes: ...
    def end(self) -> bytes: ...


def parts(reader: pa.RecordBatchReader, format_: str) -> Iterator[bytes]:
    """Yield a file of these rows in one of FORMATS: one part per batch, and one for its end.

    Raises LakeError if a batch cannot be read, possibly after some parts.
    """
    writer: _Writer
    match format_:
        case "ndjson":
            writer = _Ndjson()
        case "csv":
            writer = _Csv(reader.schema)
        case "parquet":
            writer = _Arrow(pq.ParquetWriter, reader.schema)
        case _:
            writer = _Arrow(pa.ipc.new_stream, reader.schema)
    try:
        for batch in reader:
            yield writer.part(batch)
    except OSError as error:  # pyarrow raises DuckDB's errors in a batch as OSError
        raise LakeError(f"the events cannot be read any further: {error}") from error
    yield writer.end()


class _Ndjson:
    def part(self, batch: pa.RecordBatch) -> bytes:
        rows = rendering.json_rows(batch.to_pylist())
        return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)

    def end(self) -> bytes:
        return b""


class _Csv:
    def __init__(self, schema: pa.Schema) -> None:
        self._header = rendering.csv_line(schema.names).encode()

    def part(self, batch: pa.RecordBatch) -> bytes:
        header, self._header = self._header, b""
        lines = "".join(rendering.csv_line(row.values()) for row in batch.to_pylist())
        return header + lines.encode()

    def end(self) -> bytes:
        return self._header


class _Arrow:
    """A writer of pyarrow, on a sink that is drained after each batch."""

    def __init__(self, make: object, schema: pa.Schema) -> None:
        self._sink = _Sink()
        self._writer = make(self._sink, schema)  # type: ignore[operator]

    def part(self, batch: pa.RecordBatch) -> bytes:
        self._writer.write_batch(batch)
        return self._sink.drain()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.drain()


class _Sink(io.RawIOBase):
    """A buffer that keeps counting its position while it is drained."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._buffer += content
        self._position += len(content)
        return len(content)

    def tell(self) -> int:
        return self._position

    def drain(self) -> bytes:
        """Return the bytes written since the last call, and forget them."""
        drained, self._buffer = bytes(self._buffer), bytearray()
        return drained
