"""The duplicate rule: it finds the duplicates among staged events. Specified by `duplicates.sql`.

Compaction and the live view both apply it, so a number never changes because a job ran. An event id
counts for 24 hours, a transaction for 30 days.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files as package_files

import duckdb

from etl.lake.duck import count, one_value
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS, PARTITION

_KEY_WINDOWS = {
    "id:": timedelta(days=1),
    "tx:": timedelta(days=30),
    "stx:": timedelta(days=30),
}


def mark_duplicates(con: duckdb.DuckDBPyConnection, events: Snapshot) -> int:
    """Move the duplicates among `staged_events` to `staged_duplicates`; return their number.

    A duplicate has the key of a row in the lake or of an earlier staged row.
    """
    if not one_value(con, f"SELECT count(dedupe_key) FROM staged_{EVENTS.name}"):
        return 0
    keys = _keys_in_lake(con, events)
    con.execute(f"CREATE OR REPLACE TEMP TABLE lake_keys AS {keys}")
    con.execute(package_files("etl.lake").joinpath("duplicates.sql").read_text())
    return count(con, "dropped")


def _keys_in_lake(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> str:
    parts = list(_keys_by_kind(con, snapshot))
    return " UNION ALL ".join(parts) or (
        "SELECT NULL::BIGINT AS tenant_id, NULL::VARCHAR AS dedupe_key, "
        "NULL::TIMESTAMPTZ AS received_at LIMIT 0"
    )


def _keys_by_kind(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Iterator[str]:
    for prefix, window in _KEY_WINDOWS.items():
        earliest = one_value(
            con,
            f"SELECT min({PARTITION}) FROM staged_{EVENTS.name} "
            f"WHERE starts_with(dedupe_key, '{prefix}')",
        )
        files = snapshot.files_since(str(earliest - window)) if isinstance(earliest, date) else []
        if files:
            yield f"""
                SELECT tenant_id, dedupe_key, received_at FROM {snapshot.relation(files)}
                SEMI JOIN (SELECT tenant_id, dedupe_key FROM staged_{EVENTS.name}
                           WHERE starts_with(dedupe_key, '{prefix}')) USING (tenant_id, dedupe_key)
            """
