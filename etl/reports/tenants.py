"""The tenant that a question reads: resolved from an id or a slug, and checked for the reader.

A question about one tenant is in that tenant's time zone, unless it names another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol
from zoneinfo import ZoneInfo

import duckdb

from etl.goals import Goal, GoalError, GoalStore
from etl.lake.duck import one_value, quoted
from etl.lake.errors import LakeError
from etl.lake.live.names import Names
from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.plain import is_utf8
from etl.reports import parameters
from etl.reports.parameters import ParameterError, is_id


class Shops(Protocol):
    """The names, time zones and goals of the tenants."""

    def tenant_of(self, slug: str) -> int | None:
        """Return the id of the tenant with a slug."""

    def timezone_of(self, tenant: int) -> str | None:
        """Return the time zone of a tenant; None if it has none."""

    def goals_of(self, tenant: int) -> Mapping[str, Goal]:
        """Return the goals of a tenant by name. Raises LakeError if they cannot be read."""


class TenantForbidden(Exception):
    """The reader may read one tenant, and the question named another, which may not exist."""

    def __init__(self) -> None:
        super().__init__("This token reads its own shop only.")


def parse(
    texts: Mapping[str, str],
    allowed: Mapping[str, object],
    shops: Shops,
    *,
    reader_tenant: int | None,
) -> tuple[dict[str, object], ZoneInfo]:
    """Return the parameters as `parameters.parse` does, with the id of the tenant to read.

    Raises ParameterError, and TenantForbidden as `resolve`.
    """
    timezone = None if "tz" in texts else _timezone(texts.get("tenant"), shops, reader_tenant)
    values, zone = parameters.parse(texts, allowed, tz=timezone)
    tenant = resolve(values.get("tenant"), shops.tenant_of, reader_tenant=reader_tenant)
    return {**values, "tenant": tenant}, zone


def _timezone(text: str | None, shops: Shops, reader_tenant: int | None) -> str | None:
    try:
        tenant = resolve(text, shops.tenant_of, reader_tenant=reader_tenant)
    except (ParameterError, TenantForbidden):
        return None  # the question is refused, for this or for another parameter
    return None if tenant is None else shops.timezone_of(tenant)


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
    tenant = tenant_of(text) if is_utf8(text) else None
    if tenant is None:
        raise ParameterError({"tenant": ["takes the id or the slug of a tenant that exists."]})
    return tenant


class ShopsOfView:
    """The shops of a live view: names of one moment, and the goals in its data folder."""

    def __init__(self, view: LiveView, names: Names) -> None:
        self.tenant_of, self.timezone_of = names.tenant_of, names.timezone_of
        self._store = GoalStore(Layout(view.data).goals)

    def goals_of(self, tenant: int) -> Mapping[str, Goal]:
        """See Shops.goals_of."""
        try:
            return self._store.of_tenant(tenant)
        except GoalError as error:
            raise LakeError(str(error)) from error


class ShopsOfConnection:
    """The shops of a live connection."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def tenant_of(self, slug: str) -> int | None:
        """See Shops.tenant_of."""
        condition = f"slug = {quoted(slug)}"
        tenant = one_value(self._con, f"SELECT id FROM tenants WHERE {condition} LIMIT 1")
        return tenant if isinstance(tenant, int) else None

    def timezone_of(self, tenant: int) -> str | None:
        """See Shops.timezone_of."""
        return self._preference("timezone", tenant)

    def language_of(self, tenant: int) -> str | None:
        """Return the language of a tenant; None if it has none."""
        return self._preference("language", tenant)

    def _preference(self, column: str, tenant: int) -> str | None:
        text = one_value(self._con, f"SELECT {column} FROM tenants WHERE id = {tenant} LIMIT 1")
        return text if isinstance(text, str) else None

    def goals_of(self, tenant: int) -> Mapping[str, Goal]:
        """See Shops.goals_of; none if the connection has no relation `goals`."""
        try:
            query = f"SELECT name, filters FROM goals WHERE tenant_id = {tenant}"
            listed = self._con.execute(query).fetchall()
        except duckdb.CatalogException:
            return {}
        return {name: Goal(tenant, name, json.loads(filters)) for name, filters in listed}
