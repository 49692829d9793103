"""The inputs of a report's SQL besides the views; each is made only if the SQL uses it.

$compared_from, $compared_to   the span to compare the period with (etl.reports.comparison)
clock                          the clocks of the zone, for buckets (etl.reports.clock_table)
refused_of_tenant              the rows of `rejected` that refer to the tenant, by
                               (series, segment, seq); empty for all tenants
                               (etl.lake.rejected_rows)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from etl.directory.tenant_reference import TenantNames
from etl.lake import rejected_rows
from etl.lake.duck import quoted
from etl.reports import clock_table, comparison
from etl.reports.catalogue import Report

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def compared_span(
    con: duckdb.DuckDBPyConnection, values: Mapping[str, object], zone: ZoneInfo, now: datetime
) -> dict[str, datetime | None]:
    """Return `compared_from` and `compared_to`; both None if there is no previous period.

    For a pinned version, `now` is the receipt of its newest event.
    """
    pinned = con.execute("SELECT epoch_us(received_at) FROM pinned_at").fetchall()
    if pinned:
        now = _EPOCH + timedelta(microseconds=pinned[0][0] or 0)
    return comparison.bounds(comparison.span_before(values, zone, now))


def register(
    con: duckdb.DuckDBPyConnection, report: Report, values: Mapping[str, object], zone: ZoneInfo
) -> None:
    """Register the tables that the report's SQL uses. Raises duckdb.Error."""
    if report.reads_clock:
        con.register("clock", clock_table.table(zone, str(values.get("interval", "hour"))))
    if "refused_of_tenant" in report.sql:
        con.register("refused_of_tenant", _refused(con, values))


def _refused(con: duckdb.DuckDBPyConnection, values: Mapping[str, object]) -> pa.Table:
    tenant = values["tenant"]
    if not isinstance(tenant, int):
        return rejected_rows.EMPTY
    period = ", ".join(_literal(values[name]) for name in ("from", "to"))
    relation = f"(FROM rejected WHERE falls_in(received_at, event_date, {period}))"
    return rejected_rows.of_tenant(con, relation, _names(con, tenant))


def _literal(moment: object) -> str:
    text = quoted(moment.isoformat()) if isinstance(moment, datetime) else "NULL"
    return f"{text}::TIMESTAMPTZ"


def _names(con: duckdb.DuckDBPyConnection, tenant: int) -> TenantNames:
    """Return the tenant's current names in the directory."""
    row = con.execute("SELECT uuid, slug FROM tenants WHERE id = ?", [tenant]).fetchone()
    return TenantNames(tenant, *row) if row else TenantNames(tenant)
