"""The tenant that a question reads: resolved from an id or a slug, and checked for the reader."""

from __future__ import annotations

import duckdb

from etl.reports.parameters import ParameterError, is_id


class TenantForbidden(Exception):
    """The reader may read one tenant, and the question named another, which may not exist."""

    def __init__(self) -> None:
        super().__init__("This token reads its own shop only.")


def resolve(
    con: duckdb.DuckDBPyConnection, text: object, *, reader_tenant: int | None
) -> int | None:
    """Return the id of the tenant to read; None for all tenants.

    A reader of one tenant (`reader_tenant`) reads that tenant, whether `text` names it or is None.
    Raises ParameterError for an unknown slug; TenantForbidden for a tenant that the reader may not
    read.
    """
    if reader_tenant is None:
        return _tenant_id(con, text)
    try:
        tenant = reader_tenant if text is None else _tenant_id(con, text)
    except ParameterError:
        raise TenantForbidden from None
    if tenant != reader_tenant:
        raise TenantForbidden
    return tenant


def _tenant_id(con: duckdb.DuckDBPyConnection, text: object) -> int | None:
    if text is None:
        return None
    if isinstance(text, str) and is_id(text):
        return int(text)
    rows = con.execute("SELECT id FROM tenants WHERE slug = $slug", {"slug": text}).fetchall()
    if not rows:
        raise ParameterError({"tenant": ["takes the id or the slug of a tenant that exists."]})
    return int(rows[0][0])
