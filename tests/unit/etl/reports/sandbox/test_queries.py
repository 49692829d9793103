"""One SELECT as JSON: the errors of DuckDB, whenever they come."""

import duckdb
import pytest

from etl.reports.sandbox import QueryRefused, queries

FAILS_IN_A_LATER_BATCH = """
    SELECT CASE WHEN range < 3000 THEN '1' ELSE 'x' END::INTEGER FROM range(8000)
"""


def test_an_error_after_some_rows_is_the_querys_own():
    """DuckDB's reader raises it as an OSError, with DuckDB's message."""
    with duckdb.connect() as con:
        parts = queries.json_parts(con, FAILS_IN_A_LATER_BATCH)
        assert next(parts)
        with pytest.raises(QueryRefused, match="Could not convert string 'x'"):
            list(parts)
