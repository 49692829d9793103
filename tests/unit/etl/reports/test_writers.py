"""The formats of an export: an error of the lake while rows are read."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from etl.lake.errors import LakeError
from etl.reports import writers

SCHEMA = pa.schema([("n", pa.int64())])


def batches() -> Iterator[pa.RecordBatch]:
    yield pa.record_batch([[1]], schema=SCHEMA)
    raise OSError("IO Error: the file is gone")


@pytest.mark.parametrize("format_", writers.FORMATS)
def test_rows_that_cannot_be_read_are_an_error_of_the_lake(format_):
    """DuckDB's reader raises OSError; an export is then cut off, not ended as if it were whole."""
    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches())
    with pytest.raises(LakeError, match="the file is gone"):
        list(writers.parts(reader, format_))
