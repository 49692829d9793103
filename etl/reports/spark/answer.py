"""Answering a question on Spark, by one version of the lake.

answer(LiveView(Path("data")), Question("summary"), spark_session.opened("local[2]")).rows
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl.lake.live.names import Names
from etl.lake.live.view import LiveView
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS
from etl.reports import clock_table, columns, comparison
from etl.reports.question import ParsedQuestion, Question
from etl.reports.result import Result
from etl.reports.spark import relations, transpile
from etl.spark_session import cause_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.session.timeZone": "UTC",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SparkFailed(Exception):
    """Spark could not run the report; the message is the cause that it names."""


def answer(
    view: LiveView,
    question: Question,
    session: AbstractContextManager[SparkSession],
    *,
    version: int | None = None,
) -> Result:
    """Answer a question on a Spark session, which is opened for it and keeps no trace of it.

    It reads one version of the lake, by default the newest one, without the log's tail: the rows
    are those of `etl.reports.answer` with that version. Raises UnknownReport, ParameterError,
    TenantForbidden, NotOnSpark, SparkFailed, LakeError, VersionNotFound, DirectoryUnavailable, and
    what opening the session raises.
    """
    names = view.names()
    asked = ParsedQuestion.parse(question, names.tenant_of)
    transpile.check(asked.report)
    period = asked.period(datetime.now(UTC)).around_sales()
    events = view.lake.within(view.lake.load(EVENTS, version), period)
    events.fetch()  # workers read the files here, and fetch none
    with session as spark, _spark_errors():
        return _answer(_isolated(spark), asked, names, events)


def _answer(spark: SparkSession, asked: ParsedQuestion, names: Names, events: Snapshot) -> Result:
    values, sql = dict(asked.values), asked.report.sql
    relations.view_events(spark, events)
    relations.view_names(spark, names)
    if " clock " in sql:
        clock = clock_table.table(asked.zone, str(values["interval"]))
        relations.view_table(spark, "clock", clock)
    if "$compared_from" in sql:
        values |= _compared_span(spark, events, asked)
    statement = transpile.statement_of(asked.report, values)
    rows = spark.sql(statement.sql, args=dict(statement.parameters)).toArrow()
    table = rows.cast(columns.of_report(asked.report.name))
    return asked.result(table, values, version=events.version, tail_events=0)


def _compared_span(
    spark: SparkSession, events: Snapshot, asked: ParsedQuestion
) -> dict[str, datetime | None]:
    """Return `compared_from` and `compared_to`, as for a pinned version."""
    if asked.values["from"] is None:
        return comparison.bounds(None)
    now = relations.newest_receipt(spark, events) or _EPOCH
    return comparison.bounds(comparison.span_before(asked.values, asked.zone, now))


def _isolated(session: SparkSession) -> SparkSession:
    """Return a session with settings and views of its own."""
    spark = session.newSession()
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    return spark


@contextmanager
def _spark_errors() -> Iterator[None]:
    """Raise SparkFailed for an error of Spark."""
    from py4j.protocol import Py4JError  # noqa: PLC0415  (the extra `spark`)
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        yield
    except (Py4JError, PySparkException) as error:
        raise SparkFailed(f"Spark could not run the report: {cause_of(error)}") from error
