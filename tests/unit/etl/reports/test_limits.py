"""A query reads the lake and nothing else, for as long and with as much memory as it may."""

import duckdb
import pytest
from log_tools import event

from etl import reports
from etl.lake import duck
from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.reports import ReportTimeout, catalogue


def test_a_file_that_is_deleted_during_a_question_is_an_error_of_the_lake(shop):
    """An erasure deletes the files of older snapshots at once; the next question succeeds."""
    shop.seal(event(0))
    shop.compact()
    with LiveView(shop.data).connect() as con:
        for path in shop.layout.table("events").glob("*/*.parquet"):
            path.unlink()
        with pytest.raises(LakeError, match="ask again"):
            reports.run(con, "summary")


@pytest.fixture
def locked(shop) -> duckdb.DuckDBPyConnection:
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1))
    with LiveView(shop.data).connect() as con:
        duck.lock_down(con, shop.layout.lake)
        yield con


def test_a_locked_connection_still_answers(locked):
    """It reads the lake's folder, and the tables that were loaded before."""
    assert locked.execute("SELECT count(*) FROM events").fetchone() == (2,)


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_text('{data}/log/h-w0-aa/series.json')",
        "FROM read_csv('/etc/passwd')",
        "FROM glob('/etc/*')",
        "FROM read_text('{data}/lake/../log/h-w0-aa/series.json')",
        "COPY (SELECT 1) TO '{data}/out.csv'",
        "ATTACH '{data}/directory.db' AS other (TYPE sqlite)",
        "ATTACH '{data}/new.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_a_locked_connection_reaches_nothing_else(locked, shop, statement):
    """No file outside the lake, no database, no extension."""
    with pytest.raises((duckdb.PermissionException, duckdb.IOException)):
        locked.execute(statement.format(data=shop.data.absolute())).fetchall()


@pytest.mark.parametrize(
    "setting",
    [
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "SET memory_limit = '100GB'",
        "RESET enable_external_access",
    ],
)
def test_a_locked_connection_stays_locked(locked, setting):
    """No setting changes any more."""
    with pytest.raises(duckdb.Error):
        locked.execute(setting)


HEAVY = """-- heavy: too much.
-- parameters: tenant
SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = $tenant
"""


def heavy_report(name: str) -> reports.Report:
    return reports.Report(name, "Too much.", {"tenant": None, "tz": "UTC"}, HEAVY)


def test_a_report_that_takes_too_long_is_interrupted(filled, monkeypatch):
    """The connection, and the next report, are none the worse for it."""
    with LiveView(filled.data).connect() as con:
        with monkeypatch.context() as patch:
            patch.setattr(catalogue, "load", heavy_report)
            with pytest.raises(ReportTimeout):
                reports.run(con, "heavy", timeout_s=0.05, tenant="1")
        assert len(reports.run(con, "summary").rows) == 2


def test_a_report_that_needs_too_much_memory_is_refused(filled, monkeypatch):
    """With a message that says so."""
    sql = "SELECT list(range) FROM range(100000000) WHERE $tenant = 1"
    report = reports.Report("huge", "Huge.", {"tenant": None, "tz": "UTC"}, sql)
    monkeypatch.setattr(catalogue, "load", lambda name: report)
    with LiveView(filled.data).connect() as con:
        con.execute("SET memory_limit = '32MB'")
        with pytest.raises(LakeError, match="memory"):
            reports.run(con, "huge", tenant="1")
