"""Log lines into DuckDB: what compaction and the live view both do with segments.

Columns are listed, never detected, and no line is ever skipped: segments hold only lines that
the writer serialised, and their files are checked against their names before they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files as package_files
from types import MappingProxyType

import duckdb
import pyarrow as pa

from etl.lake.duck import count, one_value, quoted
from etl.lake.snapshot import Snapshot
from etl.lake.tables import DUPLICATES, EVENTS, PARTITION, REJECTED, TABLES, Table
from etl.log.format import ERASED_KIND
from etl.log.segments import Sealed

"""What is left of a line that was erased: no table keeps it."""
_WRITTEN_KINDS = (EVENTS.kind, REJECTED.kind, ERASED_KIND)
_LINE_BYTES_MAX = 16 << 20
_OF_SOURCE = "JOIN sources USING (path)"
_BAD_CONTENT = (duckdb.DataError, duckdb.InvalidInputException)
_KEY_WINDOWS = {
    "id:": timedelta(days=1),
    "tx:": timedelta(days=30),
    "stx:": timedelta(days=30),
}


class SegmentRefused(Exception):
    """A segment is what its name says, and yet cannot be taken: which, and why."""

    def __init__(self, segment: Sealed, reason: str) -> None:
        super().__init__(f"segment {segment.series}/{segment.number}: {reason}")
        self.segment, self.reason = segment, reason


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of a segment with an ordinal above `above`, up to `upto`."""

    above: int
    upto: int


_WHOLE = Part(-1, (1 << 63) - 1)


def stage_lines(
    con: duckdb.DuckDBPyConnection,
    segments: Sequence[Sealed],
    kept: Mapping[Sealed, pa.Table] = MappingProxyType({}),
    parts: Mapping[Sealed, Part] = MappingProxyType({}),
) -> None:
    """Make the temporary table `lines`: every line of `segments`, those in `kept` from there, but
    of the segments in `parts` those lines alone.

    Raises SegmentRefused naming one that cannot be read whole, or holds lines of a kind that no
    table keeps; duckdb.IOException when a segment was deleted meanwhile.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE sources "
        "(path VARCHAR, series VARCHAR, segment BIGINT, above BIGINT, upto BIGINT)"
    )
    if segments:
        ranges = [parts.get(item, _WHOLE) for item in segments]
        rows = [
            (str(item.path), item.series, item.number, part.above, part.upto)
            for item, part in zip(segments, ranges, strict=True)
        ]
        con.executemany("INSERT INTO sources VALUES (?, ?, ?, ?, ?)", rows)
    unread = [item for item in segments if item not in kept]
    lines = _select_lines(unread)
    if kept:
        con.register("kept_lines", pa.concat_tables(kept.values()))
        lines = f"FROM kept_lines UNION ALL {lines}" if unread else "FROM kept_lines"
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE lines AS {lines}")
    except _BAD_CONTENT as error:
        raise _refused_among(con, unread, error) from error
    if kept:
        con.unregister("kept_lines")
    _check_counts(con, [item for item in segments if item not in parts], "lines")
    if parts:
        counted = f"(SELECT series, segment, kind FROM {_read_ndjson(list(parts))} {_OF_SOURCE})"
        _check_counts(con, list(parts), counted)


def _refused_among(
    con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed], error: Exception
) -> Exception:
    for segment in segments:
        try:
            con.execute(f"SELECT count(COLUMNS(*)) FROM ({_select_lines([segment])})")
        except _BAD_CONTENT:
            return SegmentRefused(segment, "a line cannot be read")
    return error


def _select_lines(segments: Sequence[Sealed]) -> str:
    names = {field: table.fields[field] for table in TABLES for field in table.fields}
    fields = ", ".join(f"{name}::{type_} AS {name}" for name, type_ in names.items())
    return f"""
        SELECT kind, {fields}, series, segment, _n AS seq,
               (received_at AT TIME ZONE 'UTC')::DATE AS {PARTITION}
        FROM {_read_ndjson(segments)} {_OF_SOURCE}
        WHERE _n > above AND _n <= upto
    """


def _read_ndjson(segments: Sequence[Sealed]) -> str:
    columns = {"kind": "VARCHAR", "_n": "BIGINT"}
    for table in TABLES:
        columns |= {field: table.line_type(field) for field in table.fields}
    if not segments:
        nulls = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in columns.items())
        return f"(SELECT {nulls}, NULL::VARCHAR AS path LIMIT 0)"
    listed = ", ".join(quoted(str(item.path)) for item in segments)
    typed = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    return (
        f"read_ndjson([{listed}], columns = {{{typed}}}, filename = 'path', "
        f"compression = 'uncompressed', maximum_object_size = {_LINE_BYTES_MAX})"
    )


def stage_tables(con: duckdb.DuckDBPyConnection, snapshots: Sequence[Snapshot]) -> None:
    """Make a view `staged_<table>` for each: its rows in `lines` above its watermarks.

    They hold duplicates among the events until `mark_duplicates` has found those.
    """
    _mark_old_duplicates(con, *(_of(snapshots, table) for table in (EVENTS, DUPLICATES)))
    for snapshot in snapshots:
        table = snapshot.table
        con.execute(f"""
            CREATE OR REPLACE TEMP VIEW staged_{table.name} AS
            SELECT {", ".join(table.columns)} FROM lines
            WHERE {" AND ".join([f"kind = {quoted(table.kind)}", *_unseen(con, snapshot)])}
        """)


def _of(snapshots: Sequence[Snapshot], table: Table) -> Snapshot:
    return next(snapshot for snapshot in snapshots if snapshot.table is table)


def _mark_old_duplicates(
    con: duckdb.DuckDBPyConnection, events: Snapshot, duplicates: Snapshot
) -> None:
    """Of the lines that `events` holds and `duplicates` does not, as when a compaction died between
    the two commits, those that are not in `events` were dropped."""
    behind = [
        f"({_held(events, series)} AND NOT {_held(duplicates, series)})"
        for (series,) in con.execute("SELECT DISTINCT series FROM sources").fetchall()
        if _marks(events, series) > _marks(duplicates, series)
    ]
    if not behind:
        return
    asked = f"kind = {quoted(EVENTS.kind)} AND ({' OR '.join(behind)})"
    earliest = one_value(con, f"SELECT min({PARTITION})::VARCHAR FROM lines WHERE {asked}")
    held = events.relation(events.files_since(str(earliest)))
    con.execute(f"""
        UPDATE lines SET kind = {quoted(DUPLICATES.kind)}
        WHERE {asked} AND (series, seq) NOT IN (SELECT (series, seq) FROM {held})
    """)


def _unseen(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Iterator[str]:
    """Conditions that leave out what the table has of the staged lines: mostly nothing."""
    firsts = con.execute("SELECT series, min(segment), min(seq) FROM lines GROUP BY 1").fetchall()
    for series, segment, seq in firsts:
        if snapshot.watermark(series) >= segment or snapshot.lines(series) >= seq:
            yield f"NOT {_held(snapshot, series)}"


def _marks(snapshot: Snapshot, series: str) -> tuple[int, int]:
    return snapshot.watermark(series), snapshot.lines(series)


def _held(snapshot: Snapshot, series: str) -> str:
    """The condition that the table holds a line of a series."""
    segment, seq = _marks(snapshot, series)
    return f"(series = {quoted(series)} AND (segment <= {segment} OR seq <= {seq}))"


def mark_duplicates(con: duckdb.DuckDBPyConnection, events: Snapshot) -> int:
    """Move from `staged_events` to `staged_duplicates` what the lake or an earlier row holds
    already; how many.

    The rule, and its order, stand in `duplicates.sql`; ids count for 24 h, transactions for
    30 days.
    """
    if not one_value(con, f"SELECT count(dedupe_key) FROM staged_{EVENTS.name}"):
        return 0
    known = _known_keys(con, events)
    con.execute(f"CREATE OR REPLACE TEMP TABLE known AS {known}")
    con.execute(package_files("etl.lake").joinpath("duplicates.sql").read_text())
    return count(con, "dropped")


def has_signed(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether any of the staged events is a signed sale."""
    return bool(count(con, f"(FROM staged_{EVENTS.name} WHERE signed LIMIT 1)"))


def _known_keys(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> str:
    parts = list(_known_keys_by_kind(con, snapshot))
    return " UNION ALL ".join(parts) or (
        "SELECT NULL::BIGINT AS tenant_id, NULL::VARCHAR AS dedupe_key, "
        "NULL::TIMESTAMPTZ AS received_at LIMIT 0"
    )


def _known_keys_by_kind(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Iterator[str]:
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


def _check_counts(
    con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed], relation: str
) -> None:
    kinds = ", ".join(map(quoted, _WRITTEN_KINDS))
    counted = con.execute(
        f"SELECT series, segment, count(*) FROM {relation} WHERE kind IN ({kinds}) GROUP BY ALL"
    ).fetchall()
    read = {(series, number): lines for series, number, lines in counted}
    for segment in segments:
        lines = read.get((segment.series, segment.number), 0)
        if lines != segment.lines:
            reason = f"{segment.lines - lines} of {segment.lines} lines are of no known kind"
            raise SegmentRefused(segment, reason)
