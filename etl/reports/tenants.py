"""The tenant that a question reads: resolved from an id or a slug, and checked for the reader."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from etl.lake.duck import one_value, quoted
from etl.reports.parameters import ParameterError, is_id


class TenantForbidden(Exception):
    """The reader may read one tenant, and the question named another, which may not exist."""

    def __init__(self) -> None:
        super().__init__("This token reads its own shop only.")


def resolve(
    text: object, tenant_of: Callable[[str], int | None], *, reader_tenant: int | None
) -> int | None:
    """Return the id of the tenant to read; None for all tenants.

    `tenant_of` returns the id of the tenant with a slug. A reader of one tenant (`reader_tenant`)
    reads that tenant, whether `text` names it or is None. Raises ParameterError for an unknown
    slug; TenantForbidden for a tenant that the reader may not read.
    """
    if reader_tenant is None:
        return _tenant_id(text, tenant_of)
    try:
        tenant = reader_tenant if text is None else _tenant_id(text, tenant_of)
    except ParameterError:
        raise TenantForbidden from None
    if tenant != reader_tenant:
        raise TenantForbidden
    return tenant


def _tenant_id(text: object, tenant_of: Callable[[str], int | None]) -> int | None:
    if not isinstance(text, str):
        return None
    if is_id(text):
        return int(text)
    tenant = tenant_of(text)
    if tenant is None:
        raise ParameterError({"tenant": ["takes the id or the slug of a tenant that exists."]})
    return tenant


def of_connection(con: duckdb.DuckDBPyConnection, slug: str) -> int | None:
    """Return the id of the tenant with a slug, by the names of a live connection."""
    tenant = one_value(con, f"SELECT id FROM tenants WHERE slug = {quoted(slug)} LIMIT 1")
    return tenant if isinstance(tenant, int) else None
