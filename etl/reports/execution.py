"""Running a report: the same for HTTP, the command line and notebooks.

    view = LiveView(Path("data"))
    answer(view, Question("funnel", {"tenant": "la-colmena"})).rows

Parameters are bound, never pasted into the SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.plain import iso
from etl.reports import catalogue, inputs, limits, parameters, tenants
from etl.reports.catalogue import Report
from etl.reports.result import Result, labelled

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Question:
    """The name of a report, its parameters as text, and the limits of the reader.

    `reader_tenant` is the only tenant that the reader may read; None: the reader may read all.
    """

    report: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reader_tenant: int | None = None
    timeout_s: float = TIMEOUT_S


def run(
    con: duckdb.DuckDBPyConnection, name: str, /, *, timeout_s: float = TIMEOUT_S, **texts: str
) -> Result:
    """Run a report with text parameters (`from_` stands for `from`) on a live connection.

    Raises UnknownReport, ParameterError, ReportTimeout, LakeError.
    """
    named = {key.rstrip("_"): text for key, text in texts.items()}
    return execute(con, Question(name, named, timeout_s=timeout_s))


def answer(view: LiveView, question: Question, *, version: int | None = None) -> Result:
    """Answer a question on a connection of its own that reads nothing but the lake's folder.

    `version` pins the events to one version of the lake. Raises what `execute` and
    `LiveView.connect` raise.
    """
    report = catalogue.load(question.report)
    with closing(view.connect(version=version)) as con:
        limits.lock_down(con, Layout(view.data).lake)
        return _execute(con, report, question, datetime.now(UTC))


def execute(
    con: duckdb.DuckDBPyConnection, question: Question, now: datetime | None = None
) -> Result:
    """Run a question's report on a live connection.

    `now`, by default the current time, ends the period that `etl.reports.comparison` compares with
    the previous one. Raises UnknownReport, ParameterError, TenantForbidden, ReportTimeout,
    LakeError.
    """
    return _execute(con, catalogue.load(question.report), question, now or datetime.now(UTC))


def _execute(
    con: duckdb.DuckDBPyConnection, report: Report, question: Question, now: datetime
) -> Result:
    values, zone = parameters.parse(question.parameters, report.parameters)
    values["tenant"] = tenants.resolve(
        con, values.get("tenant"), reader_tenant=question.reader_tenant
    )
    version, tail_events = con.execute("SELECT version, tail_events FROM snapshot").fetchall()[0]
    with limits.interrupted_after(con, question.timeout_s):
        inputs.register(con, report.sql, values, zone)
        if "$compared_from" in report.sql:
            values |= inputs.compared_span(con, values, zone, now)
        bound = {key: value for key, value in values.items() if f"${key}" in report.sql}
        table = con.sql(report.sql, params=bound).to_arrow_table()
    parsed = {
        key: iso(value) if isinstance(value, datetime) else value for key, value in values.items()
    }
    return Result(report.name, parsed, labelled(table, zone.key), version, tail_events, zone)
