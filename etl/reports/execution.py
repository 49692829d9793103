"""Running a report: the same for HTTP, the command line and notebooks.

    view = LiveView(Path("data"))
    answer(view, Question("funnel", {"tenant": "la-colmena"})).rows

Parameters are bound, never pasted into the SQL.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import duckdb

from etl.lake.live.view import LiveView
from etl.reports import inputs, limits
from etl.reports.question import TIMEOUT_S, ParsedQuestion, Question
from etl.reports.result import Result
from etl.reports.tenants import ShopsOfConnection, ShopsOfView


def run(
    con: duckdb.DuckDBPyConnection, name: str, /, *, timeout_s: float = TIMEOUT_S, **texts: str
) -> Result:
    """Run a report with text parameters (`from_` stands for `from`) on a live connection.

    Raises UnknownReport, ParameterError, ReportTimeout, LakeError.
    """
    named = {key.rstrip("_"): text for key, text in texts.items()}
    result = execute(con, Question(name, named, timeout_s=timeout_s))
    tenant = result.parameters.get("tenant")
    language = ShopsOfConnection(con).language_of(tenant) if isinstance(tenant, int) else None
    return replace(result, language=language)


def answer(view: LiveView, question: Question, *, version: int | None = None) -> Result:
    """Answer a question on a connection that reads only the lake, and only its tenant.

    `version` pins the events to one version of the lake. Raises what `execute` and
    `LiveView.connect` raise.
    """
    names = view.names()  # once, so that the tenant that is resolved is the tenant that is shown
    asked = ParsedQuestion.parse(question, ShopsOfView(view, names))
    version = asked.pinned(version)
    view.lock_down()
    now = datetime.now(UTC)
    if version is None:
        with view.opened(
            tenant=asked.tenant,
            names=names,
            period=asked.period(now),
            only_events=asked.report.reads_only_events,
        ) as con:
            return _execute(con, asked, now)
    with asked.reading_version():
        con = view.connect(version=version, tenant=asked.tenant, names=names)
    with closing(con):
        return _execute(con, asked, now, version)


def execute(
    con: duckdb.DuckDBPyConnection, question: Question, now: datetime | None = None
) -> Result:
    """Run a question's report on a live connection.

    `now`, by default the current time, ends the period that `etl.reports.comparison` compares with
    the previous one. Raises UnknownReport, ParameterError, TenantForbidden, ReportTimeout,
    LakeError.
    """
    asked = ParsedQuestion.parse(question, ShopsOfConnection(con))
    return _execute(con, asked, now or datetime.now(UTC))


def _execute(
    con: duckdb.DuckDBPyConnection, asked: ParsedQuestion, now: datetime, pinned: int | None = None
) -> Result:
    values, report = dict(asked.values), asked.report
    version, tail_events = con.execute("SELECT version, tail_events FROM snapshot").fetchall()[0]
    with limits.interrupted_after(con, asked.timeout_s):
        inputs.register(con, report, values, asked.zone)
        if report.compares:
            values |= inputs.compared_span(con, values, asked.zone, now)
        composed = asked.composed(values)
        table = con.sql(composed.sql, params=composed.values).to_arrow_table()
    return asked.result(table, values, version=version, tail_events=tail_events, pinned=pinned)
