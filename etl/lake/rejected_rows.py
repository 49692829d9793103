"""The rows of `rejected` that refer to one tenant, for erasure and for reports.

    con.register("mine", rejected_rows.of_tenant(con, "rejected", names))
    con.sql("FROM rejected SEMI JOIN mine USING (series, segment, seq)")

SQL excludes most rows by their text; `etl.directory.tenant_reference` decides the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from etl.directory.tenant_reference import TenantNames
from etl.lake.duck import quoted

_CHUNK_ROWS = 10_000
_PLACE = pa.schema([("series", pa.string()), ("segment", pa.int64()), ("seq", pa.int64())])
EMPTY = _PLACE.empty_table()
"""The result if no row refers to the tenant."""
_ESCAPED = frozenset('"\\/')
_BLANKS = r"[ \t\r\n]*"
_FIELD = f'"{{}}"{_BLANKS}:{_BLANKS}{{}}'


def of_tenant(con: duckdb.DuckDBPyConnection, relation: str, names: TenantNames) -> pa.Table:
    """Return (series, segment, seq) of the rows of `relation` that refer to the tenant.

    `relation` is the table or view `rejected`, or a SELECT in brackets that keeps these columns,
    endpoint and body. Raises duckdb.Error.
    """
    candidates = con.execute(f"""
        SELECT series, segment, seq, endpoint, body FROM {relation}
        WHERE endpoint IS NOT NULL AND ({" OR ".join(_may_refer(names))})""")
    places: list[dict[str, object]] = []
    while chunk := candidates.fetchmany(_CHUNK_ROWS):
        places += [
            dict(zip(_PLACE.names, place, strict=True))
            for *place, endpoint, body in chunk
            if names.sent_in(endpoint, body)
        ]
    return pa.Table.from_pylist(places, _PLACE)


def _may_refer(names: TenantNames) -> Iterator[str]:
    """Yield conditions; every row that refers to the tenant satisfies at least one of them.

    Few other rows do. A name in another spelling has an escape in a string or an exponent in a
    number, and there is a condition for both.
    """
    yield r"contains(body, '\u')"
    for kind, name in names.references():
        if kind == "id":
            yield _matches("tenant_id", f'("?0*{name}[^0-9]|[0-9.]+[eE])')
        elif kind == "uuid":
            yield _matches("tenant_id", f'"(?i:{name})"')
        else:
            is_escaped = _ESCAPED & set(str(name))
            yield r"contains(body, '\')" if is_escaped else f"contains(body, {quoted(str(name))})"


def _matches(field: str, value: str) -> str:
    return f"regexp_matches(body, {quoted(_FIELD.format(field, value))})"
