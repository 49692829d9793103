"""The reports' SQL for Spark. tests/faults/test_spark_reports.py runs it."""

import re
from datetime import UTC, datetime

import pytest

from etl import reports
from etl.reports import composition
from etl.reports.catalogue import Report
from etl.reports.composition import Composed
from etl.reports.spark import NotOnSpark, transpile

REFUSED = {
    "quality": "it reads duplicates, refused_of_tenant, rejected",
    "shops": "it uses strip_accents()",
}
ALL = dict.fromkeys(("tenant", "from", "to"))


def sql_of(text: str, **values: object) -> str:
    """A query of a report, transpiled."""
    return transpile.statement_of(Report("made-up", "", {}, text), Composed(text, values)).sql


def statement(name: str, values: dict[str, object]) -> transpile.Statement:
    """The statement of a report."""
    report = reports.load(name)
    return transpile.statement_of(report, composition.compose(report.sql, values, {}))


def refusal_of(name: str) -> str | None:
    """Why Spark cannot answer a report."""
    try:
        transpile.check(reports.load(name))
    except NotOnSpark as error:
        return str(error)
    return None


def test_the_row_of_an_extreme_has_a_value() -> None:
    """Spark takes a NULL, if it is that of the last row."""
    assert sql_of("SELECT arg_max(a, (b, c)) FROM events") == (
        "SELECT MAX_BY(a, IF(a IS NULL, NULL, (b, c))) FROM events"
    )


def test_the_tables_of_subqueries_have_names_of_their_own() -> None:
    """Spark's SQL lists all of them at the top, where two of one name are refused."""
    part = "(WITH t AS (SELECT 1 AS a) SELECT t.a FROM t)"
    written = sql_of(
        f"WITH t AS (SELECT 2 AS a) SELECT * FROM t JOIN {part} USING (a) JOIN {part} USING (a)"
    )
    assert sorted(re.findall(r"\bt\w* AS \(", written)) == ["t AS (", "t_1 AS (", "t_2 AS ("]
    assert "SELECT t.a FROM t_1 AS t" in written


def test_spark_answers_every_report_but_two() -> None:
    """Each of the two says why, and what to do."""
    refusals = {name: refusal_of(name) for name in reports.names()}
    assert {name: why for name, why in refusals.items() if why} == {
        name: f"the report {name} cannot run on Spark: {why}; run it without --engine spark"
        for name, why in REFUSED.items()
    }


def test_the_macros_are_expanded() -> None:
    """Also those within others, and what was not asked for is NULL."""
    asked = ALL | {"bots": False, "tenant": 7}
    sql = statement("revenue", asked).sql
    assert sql.startswith(
        "SELECT currency, COUNT(*) AS transactions, SUM(value) AS value "
        "FROM (SELECT * FROM events WHERE (7 IS NULL OR tenant_id = 7) AND ((NULL IS NULL OR ("
    )
    assert sql.endswith(
        "WHERE TRUE AND (endpoint = 'conversion' AND type IN ('purchase', 'conversion')) "
        "GROUP BY currency ORDER BY value DESC, currency NULLS LAST"
    )


def test_times_are_moments() -> None:
    """Whatever the zone of the session is, and the partitions are still found."""
    sql = sql_of(
        "SELECT falls_in(occurred_at, event_date, $from, $to) AS n FROM events",
        **{"from": datetime(1970, 1, 2, tzinfo=UTC), "to": None},
    )
    moment = "TIMESTAMP_MICROS(86400000000)"
    day = f"CAST(TIMESTAMP_MICROS(UNIX_MICROS(CAST({moment} AS TIMESTAMP))) AS DATE) - 1"
    assert sql == (
        f"SELECT (({moment} IS NULL OR (occurred_at >= {moment} AND event_date >= {day})) "
        "AND (NULL IS NULL OR occurred_at < NULL)) AS n FROM events"
    )


def test_texts_are_bound() -> None:
    """No text is in the SQL, whatever its quotes are."""
    asked = ALL | {"bots": True, "type": "view' OR 'a' = 'a", "source": "\\"}
    asked_for = statement("revenue", asked)
    assert asked_for.parameters == {"asked_type": asked["type"], "asked_source": asked["source"]}
    assert ":asked_type" in asked_for.sql
    assert "OR 'a'" not in asked_for.sql


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT total(a, b OR c) AS n FROM events", "COALESCE(SUM(a) FILTER(WHERE (b OR c)), 0)"),
        ("SELECT NOT is_sale(a, b) AS n FROM events", "NOT (a = 'conversion' AND"),
        ("SELECT visitor_of(x) AS n FROM events", "SELECT x AS n"),
        ("SELECT round(a / b, 4) AS n FROM events", "SIGN((a / b)) * (FLOOR(ABS("),
        (
            "SELECT string_agg(a, ', ' ORDER BY b) FILTER (c) AS n FROM events",
            "LISTAGG(a, ', ') WITHIN GROUP (ORDER BY b NULLS LAST) FILTER(WHERE c)",
        ),
        (
            "SELECT minute AS n FROM events ASOF JOIN clock ON minute >= began_us",
            "JOIN clock ON minute >= began_us AND minute < ended_us",
        ),
    ],
)
def test_what_the_engines_do_not_share(sql: str, expected: str) -> None:
    """Each form becomes one that means the same on Spark."""
    assert expected in sql_of(sql)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT hash(type) AS n FROM events", "it uses hash()"),
        ("SELECT round(a, 2) AS n FROM events", "it uses round() to other than 4 decimals"),
        ("SELECT type FROM rejected", "it reads rejected"),
        ("SELECT type FROM events ASOF JOIN tenants ON id >= tenant_id", "it uses ASOF JOIN"),
    ],
)
def test_refusals(sql: str, why: str) -> None:
    """A function that Spark lacks, or that means something else there, is never passed on."""
    with pytest.raises(NotOnSpark, match="the report made-up cannot run on Spark") as refused:
        sql_of(sql)
    assert why in str(refused.value)
