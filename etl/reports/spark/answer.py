"""Answering a question on Spark, by one version of the lake.

answer(LiveView(Path("data")), Question("summary"), spark_session.opened("local[2]")).rows
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from etl import spark_session
from etl.lake.live.names import Names
from etl.lake.live.view import LiveView
from etl.lake.snapshot import SIGNED, Snapshot
from etl.lake.tables import EVENTS
from etl.reports import clock_table, columns, comparison
from etl.reports.composition import PARAMETER
from etl.reports.question import ParsedQuestion, Question
from etl.reports.result import Result
from etl.reports.spark import relations, transpile
from etl.reports.tenants import ShopsOfView

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.session.timeZone": "UTC",
}
_NO_FILE = "FILE_NOT_EXIST"
"""The class of Spark's errors about a file that a worker does not find."""
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
    asked = ParsedQuestion.parse(question, ShopsOfView(view, names))
    _require_spark(asked)
    version = asked.pinned(version)
    with asked.reading_version():
        newest = view.lake.load(EVENTS, version)
    period = asked.period(datetime.now(UTC))
    if newest.watermark(SIGNED) or asked.report.compares:
        period = period.around_sales()
    events = view.lake.within(newest, period)
    events.fetch()  # workers read the files here, and fetch none
    with session as spark:
        try:
            return _answer(_isolated(spark), asked, names, events)
        except spark_session.errors() as error:
            raise SparkFailed(_reason(error, events)) from error


def _require_spark(asked: ParsedQuestion) -> None:
    """Raise NotOnSpark unless Spark can answer the question, which may compose SQL of its own."""
    found_later = dict.fromkeys(PARAMETER.findall(asked.report.sql))
    transpile.statement_of(asked.report, asked.composed({**found_later, **asked.values}))


def _reason(error: Exception, events: Snapshot) -> str:
    if _NO_FILE in str(error) and all(Path(file).exists() for file in events.files):
        return (
            f"a worker of Spark does not see the files below {events.opened()[1].folder}; every "
            "worker needs the data folder at this path, for example by NFS"
        )
    return f"Spark could not run the report: {spark_session.cause_of(error)}"


def _answer(spark: SparkSession, asked: ParsedQuestion, names: Names, events: Snapshot) -> Result:
    values = dict(asked.values)
    relations.view_events(spark, events)
    relations.view_names(spark, names)
    if asked.report.reads_clock:
        clock = clock_table.table(asked.zone, str(values.get("interval", "hour")))
        relations.view_table(spark, "clock", clock)
    if asked.report.compares:
        values |= _compared_span(spark, events, asked)
    statement = transpile.statement_of(asked.report, asked.composed(values))
    rows = spark.sql(statement.sql, args=dict(statement.parameters)).toArrow()
    table = rows.cast(columns.of_report(asked.report.name))
    return asked.result(table, values, version=events.version, tail_events=0, pinned=events.version)


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
