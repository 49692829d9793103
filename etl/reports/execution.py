"""Running a report: the same for HTTP, the command line and notebooks.

    view = LiveView(Path("data"))
    answer(view, Question("funnel", {"tenant": "la-colmena"})).rows

Parameters are bound, never pasted into the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

import duckdb

from etl.lake.live.view import LiveView
from etl.lake.period import ALWAYS, Period
from etl.plain import iso
from etl.reports import catalogue, comparison, inputs, limits, parameters, tenants
from etl.reports.catalogue import Report
from etl.reports.result import Result, labelled

TIMEOUT_S = 30.0
_PARAMETER = re.compile(r"\$(\w+)")


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
    """Answer a question on a connection of its own; it reads only the lake, and only its tenant.

    `version` pins the events to one version of the lake. Raises what `execute` and
    `LiveView.connect` raise.
    """
    names = view.names()  # once, so that the tenant that is resolved is the tenant that is shown
    asked = _Asked.parse(question, names.tenant_of)
    view.lock_down()
    now = datetime.now(UTC)
    period = asked.period(now) if version is None else ALWAYS
    con = view.connect(version=version, tenant=asked.tenant, names=names, period=period)
    with closing(con):
        return _execute(con, asked, now)


def execute(
    con: duckdb.DuckDBPyConnection, question: Question, now: datetime | None = None
) -> Result:
    """Run a question's report on a live connection.

    `now`, by default the current time, ends the period that `etl.reports.comparison` compares with
    the previous one. Raises UnknownReport, ParameterError, TenantForbidden, ReportTimeout,
    LakeError.
    """
    asked = _Asked.parse(question, partial(tenants.of_connection, con))
    return _execute(con, asked, now or datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question whose parameters are parsed and whose tenant is resolved and permitted."""

    report: Report
    tenant: int | None
    others: Mapping[str, object]
    zone: ZoneInfo
    timeout_s: float

    @classmethod
    def parse(cls, question: Question, tenant_of: Callable[[str], int | None]) -> _Asked:
        """Parse a question. Raises UnknownReport, ParameterError, TenantForbidden."""
        report = catalogue.load(question.report)
        values, zone = parameters.parse(question.parameters, report.parameters)
        tenant = tenants.resolve(
            values.get("tenant"), tenant_of, reader_tenant=question.reader_tenant
        )
        return cls(report, tenant, values, zone, question.timeout_s)

    def period(self, now: datetime) -> Period:
        """Return the period whose rows the report reads, and the one that it compares with."""
        period = parameters.period(self.others)
        if "$compared_from" in self.report.sql:
            before = comparison.span_before(self.others, self.zone, now)
            period = replace(period, since=before.since) if before else period
        return period.around_sales() if "disagreeing" in self.report.sql else period


def _execute(con: duckdb.DuckDBPyConnection, asked: _Asked, now: datetime) -> Result:
    values, sql = {**asked.others, "tenant": asked.tenant}, asked.report.sql
    version, tail_events = con.execute("SELECT version, tail_events FROM snapshot").fetchall()[0]
    with limits.interrupted_after(con, asked.timeout_s):
        inputs.register(con, sql, values, asked.zone)
        if "$compared_from" in sql:
            values |= inputs.compared_span(con, values, asked.zone, now)
        named = set(_PARAMETER.findall(sql))
        bound = {name: value for name, value in values.items() if name in named}
        table = con.sql(sql, params=bound).to_arrow_table()
    parsed = {
        name: iso(value) if isinstance(value, datetime) else value for name, value in values.items()
    }
    rows = labelled(table, asked.zone.key)
    return Result(asked.report.name, parsed, rows, version, tail_events, asked.zone)
