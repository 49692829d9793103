"""A question to the reports: its name and parameters as texts, then parsed and permitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from etl.lake.period import Period
from etl.plain import iso
from etl.reports import catalogue, comparison, parameters, tenants
from etl.reports.catalogue import Report
from etl.reports.result import Result, labelled
from etl.reports.tenants import Shops

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


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """A question whose parameters are parsed and whose tenant is resolved and permitted.

    `values`: the value of every parameter of the report; that of `tenant` is an id.
    """

    report: Report
    values: Mapping[str, object]
    zone: ZoneInfo
    timeout_s: float

    @classmethod
    def parse(cls, question: Question, shops: Shops) -> ParsedQuestion:
        """Parse a question. Raises UnknownReport, ParameterError, TenantForbidden."""
        report = catalogue.load(question.report)
        values, zone = tenants.parse(
            question.parameters, report.parameters, shops, reader_tenant=question.reader_tenant
        )
        return cls(report, values, zone, question.timeout_s)

    def period(self, now: datetime) -> Period:
        """Return the period whose rows the report reads, and the one that it compares with."""
        period = parameters.period(self.values)
        if self.report.compares:
            before = comparison.span_before(self.values, self.zone, now)
            period = replace(period, since=before.since) if before else period
        return period.around_sales() if "disagreeing" in self.report.sql else period

    @property
    def tenant(self) -> int | None:
        """The id of the only tenant to read; None for all."""
        tenant = self.values["tenant"]
        return tenant if isinstance(tenant, int) else None

    def result(
        self,
        table: pa.Table,
        values: Mapping[str, object],
        *,
        version: int | None,
        tail_events: int,
    ) -> Result:
        """Return the rows as a result; `values`: the parameters that the SQL was run with."""
        parsed = {
            name: iso(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        rows = labelled(table, self.zone.key)
        return Result(self.report.name, parsed, rows, version, tail_events, self.zone)
