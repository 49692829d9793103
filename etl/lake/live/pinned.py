"""The rows of the other tables that belong to a pinned version of the events.

A version of the events covers all lines of the log up to its watermarks: as events or, in the other
tables, as duplicates and rejected payloads. Those tables are committed later, so none of their
versions matches. So their newest version is read, and only rows of lines at or below the pinned
watermarks count. Merging and vacuum do not change that; rows that retention or an erasure has
removed meanwhile are missing.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from etl.lake.snapshot import Snapshot

_WATERMARKS = "pinned_watermarks"
AT_NONE = "(SELECT NULL::TIMESTAMPTZ AS received_at LIMIT 0)"
"""The rows of `pinned_at` in a view that is not pinned."""


def register_watermarks(
    con: duckdb.DuckDBPyConnection, events: Snapshot, others: list[Snapshot]
) -> None:
    """Register the watermarks of the pinned events for every series. Raises LakeError."""
    listed = " UNION ".join(f"SELECT series FROM {other.relation()}" for other in others)
    series = [name for (name,) in con.execute(listed).fetchall()]
    con.register(
        _WATERMARKS,
        pa.table(
            {
                "series": pa.array(series, pa.string()),
                "segments": pa.array([events.watermark(name) for name in series], pa.int64()),
                "lines": pa.array([events.lines(name) for name in series], pa.int64()),
            }
        ),
    )


def rows(snapshot: Snapshot) -> str:
    """Return SQL that reads the rows of a table that belong to the pinned events."""
    columns = ", ".join(snapshot.table.columns)
    return (
        f"(SELECT {columns} FROM {snapshot.relation()} JOIN {_WATERMARKS} USING (series) "
        "WHERE segment <= segments OR seq <= lines)"
    )
