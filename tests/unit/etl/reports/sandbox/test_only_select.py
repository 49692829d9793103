"""The check that a query is one SELECT that only reads, on every attempt of `sql_attempts`."""

from collections.abc import Iterator

import duckdb
import pytest
from sql_attempts import REFUSED

from etl.reports.sandbox import QueryRefused, only_select


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.parametrize(("query", "says"), REFUSED, ids=range(len(REFUSED)))
def test_an_attempt_is_refused_unrun(con: duckdb.DuckDBPyConnection, query: str, says: str):
    """The error says why."""
    with pytest.raises(QueryRefused) as refused:
        only_select.check(con, query)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT type, count(*) FROM events GROUP BY type",
        "WITH one AS (SELECT 1 AS a) SELECT a FROM one UNION ALL SELECT range FROM range(3)",
        "FROM main.events ORDER BY received_at LIMIT 1",
        "DESCRIBE SELECT * FROM events",
    ],
)
def test_one_select_passes(con: duckdb.DuckDBPyConnection, query: str):
    """Whatever tables it names: the query fails later if one does not exist."""
    only_select.check(con, query)
