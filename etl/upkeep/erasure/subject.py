"""The subject of an erasure, a tenant or a visitor, and its data in log and lake.

- Events and duplicates: those with its tenant_id or visitor_id.
- Rejected payloads: those that the intake would have resolved to the tenant, see
  `etl.directory.tenant_reference`. A payload that refers to another tenant, or to none that can be
  resolved, is kept. They are stored without a visitor, so the erasure of a visitor erases none.
- Bytes set aside that do not parse: lines that contain its tenant_id, tenant_slug or visitor_id as
  text.
- Delta's log: the statistics of files whose smallest or largest tenant_id is the tenant's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import duckdb
import orjson

from etl.directory.tenant_reference import TenantNames
from etl.lake import rejected_rows
from etl.lake.duck import quoted
from etl.lake.tables import EVENTS, REJECTED, Table


@dataclass(frozen=True)
class Subject:
    """Either a tenant, with all its names, or a visitor id; exactly one of them is set."""

    tenant: TenantNames | None = None
    visitor_id: str | None = None

    def condition(self, con: duckdb.DuckDBPyConnection, table: Table, relation: str) -> str:
        """Return SQL that is true for the rows of `relation` to erase, and false for all others.

        It is valid on this connection until the next call for the same table.
        """
        if self.tenant is None:
            column_is = f"coalesce(visitor_id = {quoted(str(self.visitor_id))}, false)"
            return column_is if table is EVENTS else "false"
        if table is not REJECTED:
            return f"coalesce(tenant_id = {self.tenant.id}, false)"
        # Named after the tenant: the name of a rewritten file is made from this condition.
        name = "refused_of_" + hashlib.sha256(repr(self.tenant).encode()).hexdigest()[:16]
        con.register(name, rejected_rows.of_tenant(con, relation, self.tenant))
        return f"(series, segment, seq) IN (SELECT (series, segment, seq) FROM {name})"

    def has_record(self, record: dict[str, object]) -> bool:
        """Return whether a record of the log belongs to the subject."""
        if self.tenant is None:
            return record.get("visitor_id") == self.visitor_id
        if record.get("kind") == REJECTED.kind:
            return self.tenant.sent_in(str(record.get("endpoint")), str(record.get("body")))
        return record.get("tenant_id") == self.tenant.id

    def has_line(self, line: bytes) -> bool:
        """Return whether a line of the log, damaged or not, belongs to the subject."""
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return any(re.search(pattern, line) for pattern in self._texts)
        return isinstance(record, dict) and self.has_record(record)

    def in_statistics(self, text: str) -> bool:
        """Return whether an entry of a Delta log has the tenant as a file's minimum or maximum."""
        if self.tenant is None:
            return False
        return re.search(rf'tenant_id\\*"\s*:\s*{self.tenant.id}(?![0-9])', text) is not None

    @cached_property
    def _texts(self) -> tuple[bytes, ...]:
        return tuple(pattern.encode() for pattern in self._patterns())

    def _patterns(self) -> Iterator[str]:
        """Yield patterns for damaged lines; a rejected body is JSON in a JSON string."""
        quote, colon = r'\\*"', r"\s*:\s*"
        if self.tenant is None:
            yield f'visitor_id"{colon}"{self.visitor_id}"'
            return
        for kind, name in self.tenant.references():
            if kind == "id":
                yield rf"tenant_id{quote}{colon}(?:{quote})?0*{name}(?![0-9])"
            elif kind == "uuid":
                yield f"(?i:tenant_id{quote}{colon}{quote}{name})"
            else:
                yield f"tenant_slug{quote}{colon}{quote}{re.escape(str(name))}{quote}"
