"""The export of events as they are stored, in parts, on its own connection.

    with closing(Export(view, {"tenant": "la-colmena", "format": "csv"})) as export:
        file.writelines(iter(export.next_part, None))

The rows are not sorted, and only one part is in memory, so an export may have any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from threading import Lock

import duckdb
import pyarrow as pa

from etl.lake.live.view import LiveView
from etl.lake.period import ALWAYS
from etl.lake.tables import CONTEXT
from etl.reports import composition, filters, goal_references, parameters, tenants, writers
from etl.reports.composition import GoalFilters
from etl.reports.tenants import ShopsOfView

FORMATS = writers.FORMATS
PARAMETERS: Mapping[str, object] = parameters.defaults(
    ("tenant", "from", "to", "tz", "bots", *filters.NAMES)
)
"""The parameters of an export besides `format` and `version`, and their defaults."""
_DEFAULT_FORMAT = "ndjson"
_ROWS_PER_PART = 20_000
_QUERY = f"""
    SELECT event_id, tenant_id, endpoint, type, product_id, transaction_id, value, currency,
           occurred_at, received_at, visitor_id, bot, metadata, {", ".join(CONTEXT)}
    FROM selected($tenant, $from, $to, $bots)
    WHERE {{filters}}
"""


class Export:
    """One export. The first part opens the connection; `close` waits for a part in progress.

    `texts` are the parameters, with `format` and `version`. `reader_tenant`: see Question.
    """

    def __init__(
        self, view: LiveView, texts: Mapping[str, str], *, reader_tenant: int | None = None
    ) -> None:
        self._view, self._texts, self._reader_tenant = view, texts, reader_tenant
        self._con: duckdb.DuckDBPyConnection | None = None
        self._parts: Iterator[bytes] = iter(())
        self._lock = Lock()

    def next_part(self) -> bytes | None:
        """Return the next part; None after the last. Raises LakeError.

        The first call also raises ParameterError, TenantForbidden and the errors of
        `LiveView.connect`.
        """
        with self._lock:
            if self._con is None:
                self._open()
            return next(self._parts, None)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._con is not None:
                self._con.close()

    def _open(self) -> None:
        texts = dict(self._texts)
        format_, version = format_of(texts), parameters.version(texts.pop("version", None))
        texts.pop("format", None)
        names = self._view.names()
        shops = ShopsOfView(self._view, names)
        values, _ = tenants.parse(texts, PARAMETERS, shops, reader_tenant=self._reader_tenant)
        goals = goal_references.resolve(values, shops)
        tenant = values["tenant"]
        self._view.lock_down()
        period = parameters.period(values) if version is None else ALWAYS
        con = self._view.connect(
            version=version,
            tenant=tenant if isinstance(tenant, int) else None,
            names=names,
            period=period,
        )
        # A second call must not take a failure for an export without rows.
        with ExitStack() as on_failure:
            on_failure.callback(con.close)
            reader = _query(con, values, goals).to_arrow_reader(_ROWS_PER_PART)
            self._parts = writers.parts(reader, format_)
            on_failure.pop_all()
        self._con = con


def format_of(texts: Mapping[str, str]) -> str:
    """Return the format that the parameters name, or the default. Raises ParameterError."""
    return parameters.choice("format", texts.get("format", _DEFAULT_FORMAT), FORMATS)


def schema(con: duckdb.DuckDBPyConnection) -> pa.Schema:
    """Return the columns of an export."""
    return _query(con, PARAMETERS, {}).limit(0).to_arrow_table().schema


def _query(
    con: duckdb.DuckDBPyConnection, values: Mapping[str, object], goals: GoalFilters
) -> duckdb.DuckDBPyRelation:
    composed = composition.compose(_QUERY, values, goals)
    return con.sql(composed.sql, params=composed.values)
