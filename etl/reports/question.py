"""A question to the reports: its name and parameters as texts, then parsed and permitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from etl.lake.errors import VersionNotFound
from etl.lake.period import Period
from etl.plain import iso
from etl.reports import catalogue, comparison, composition, goal_references, parameters, tenants
from etl.reports import cursor as cursors
from etl.reports.catalogue import Report
from etl.reports.composition import Composed, GoalFilters
from etl.reports.cursor import Cursor
from etl.reports.parameters import ParameterError
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

    `values`: the value of every parameter of the report; that of `tenant` is an id. `goals`: the
    filters of the goals that it names.
    """

    report: Report
    values: Mapping[str, object]
    zone: ZoneInfo
    timeout_s: float
    goals: GoalFilters

    @classmethod
    def parse(cls, question: Question, shops: Shops) -> ParsedQuestion:
        """Parse a question. Raises UnknownReport, ParameterError, TenantForbidden."""
        report = catalogue.load(question.report)
        values, zone = tenants.parse(
            question.parameters, report.parameters, shops, reader_tenant=question.reader_tenant
        )
        composition.check(report.sql, values)
        goals = goal_references.resolve(values, shops)
        asked = cls(report, values, zone, question.timeout_s, goals)
        if asked.cursor and asked.cursor.question != asked.digest:
            raise ParameterError({"cursor": ["belongs to another question; ask that one again."]})
        return asked

    @property
    def cursor(self) -> Cursor | None:
        """The place after which the rows begin; None for the first page."""
        text = self.values.get("cursor")
        return None if text is None else Cursor.parse(str(text))

    def pinned(self, version: int | None) -> int | None:
        """Return the version to read: that of the question, else that of its cursor, or None.

        Raises ParameterError if they differ.
        """
        if self.cursor is None or version == self.cursor.version:
            return version
        if version is not None:
            raise ParameterError({"version": ["is not that of the cursor; leave it out."]})
        return self.cursor.version

    @contextmanager
    def reading_version(self) -> Iterator[None]:
        """Raise ParameterError about the cursor if the body does not find its version."""
        try:
            yield
        except VersionNotFound as error:
            if self.cursor is None:
                raise
            why = "is of a version that is no longer kept; ask for the first page again."
            raise ParameterError({"cursor": [why]}) from error

    @property
    def digest(self) -> str:
        """A digest of the question, the same for all of its pages."""
        return cursors.digest({**self.values, "report": self.report.name, "goals": self.goals})

    def composed(self, values: Mapping[str, object]) -> Composed:
        """Return the report's SQL; `values`: those of its parameters, and of what it reads."""
        after = self.cursor.bound() if self.cursor else cursors.NOWHERE
        return composition.compose(self.report.sql, {**values, **after}, self.goals)

    def period(self, now: datetime) -> Period:
        """Return the period whose rows the report reads, and the one that it compares with."""
        period = parameters.period(self.values)
        if self.report.compares:
            before = comparison.span_before(self.values, self.zone, now)
            period = replace(period, since=before.since) if before else period
        return period.around_sales() if self.report.looks_back else period

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
        pinned: int | None = None,
    ) -> Result:
        """Return the rows as a result; `values`: the parameters that the SQL was run with.

        `pinned`: the version that the next page must be of; None for the live view.
        """
        parsed = {
            name: iso(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        rows, following = labelled(table, self.zone.key), None
        limit = self.values.get("limit")
        if self.has_pages and isinstance(limit, int) and len(rows) > limit:
            rows = rows.slice(0, limit)
            last = rows.slice(limit - 1).to_pylist()[0]
            following = cursors.after(self.digest, pinned, last).text()
        return Result(
            self.report.name, parsed, rows, version, tail_events, self.zone, cursor=following
        )

    @property
    def has_pages(self) -> bool:
        """Whether the SQL returns one row too many if there is another page."""
        return "cursor" in self.values
