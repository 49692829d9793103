"""The part of the lake and the log that a connection to the live view shows."""

from __future__ import annotations

from dataclasses import dataclass

from etl.lake.live.names import Names
from etl.lake.period import Period
from etl.lake.tables import Table


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows and names that a connection shows: see `LiveView.connect`."""

    version: int | None
    tenant: int | None
    names: Names
    period: Period

    @property
    def is_whole(self) -> bool:
        """Whether it shows everybody's newest events."""
        return self.version is None and self.tenant is None

    def covers(self, other: Scope) -> bool:
        """Return whether a connection to this shows all that a question about another may read."""
        return (
            self.version == other.version
            and self.tenant == other.tenant
            and self.names.tenants is other.names.tenants
            and self.names.products is other.names.products
            and self.period.covers(other.period)
        )

    def condition(self, table: Table) -> str:
        """Return the WHERE clause for the rows of a table."""
        if self.tenant is None or "tenant_id" not in table.columns:
            return ""
        return f"WHERE tenant_id = {self.tenant}"
