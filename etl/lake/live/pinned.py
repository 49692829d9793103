"""The other tables as they belong to a pinned version of the events.

A version of the events holds all lines of the log up to its watermarks: as events or, in the other
tables, as duplicates and refused payloads. Those are committed after it, so no version of theirs is
the right one. Of their newest rows those count whose lines the pinned events reach; merging and
vacuum change nothing of that. What retention or an erasure dropped meanwhile is gone from them.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from etl.lake.snapshot import Snapshot

_MARKS = "pinned_marks"


def register_marks(
    con: duckdb.DuckDBPyConnection, events: Snapshot, others: list[Snapshot]
) -> None:
    """Make the table of how far the pinned events reach in every series. Raises LakeError.

    They hold whole segments, and of the next one its lines up to the watermark `lines:<series>`.
    """
    listed = " UNION ".join(f"SELECT series FROM {other.relation()}" for other in others)
    series = [name for (name,) in con.execute(listed).fetchall()]
    con.register(
        _MARKS,
        pa.table(
            {
                "series": pa.array(series, pa.string()),
                "segments": pa.array([events.watermark(name) for name in series], pa.int64()),
                "lines": pa.array([events.lines(name) for name in series], pa.int64()),
            }
        ),
    )


def rows(snapshot: Snapshot) -> str:
    """SQL text that reads the rows of a table that belong to the pinned events."""
    columns = ", ".join(snapshot.table.columns)
    return (
        f"(SELECT {columns} FROM {snapshot.relation()} JOIN {_MARKS} USING (series) "
        "WHERE segment <= segments OR seq <= lines)"
    )
