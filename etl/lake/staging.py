"""Reading log lines into DuckDB, for compaction and the live view.

Columns are listed, never detected, and no line is ever skipped: segments hold only lines that the
writer serialised, and the caller has checked their files against their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import duckdb

from etl.lake.duck import one_value, quoted
from etl.lake.keys.making import HASH
from etl.lake.snapshot import Snapshot, of_table
from etl.lake.tables import DUPLICATES, EVENTS, PARTITION, REJECTED, TABLES
from etl.log.excerpts import Excerpt
from etl.log.format import ERASED_KIND
from etl.log.segments import Sealed

_WRITTEN_KINDS = (EVENTS.kind, REJECTED.kind, ERASED_KIND)
_LINE_BYTES_MAX = 16 << 20
_BAD_CONTENT = (duckdb.DataError, duckdb.InvalidInputException)


class SegmentUnreadable(Exception):
    """A segment matches the CRC in its name but cannot be read; carries segment and reason."""

    def __init__(self, segment: Sealed, reason: str) -> None:
        super().__init__(f"segment {segment.series}/{segment.number}: {reason}")
        self.segment, self.reason = segment, reason


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read, the segment that it is or is a part of, and the number of its lines."""

    segment: Sealed
    path: Path
    lines: int

    @classmethod
    def whole(cls, segment: Sealed) -> Source:
        return cls(segment, segment.path, segment.lines)


def stage_lines(
    con: duckdb.DuckDBPyConnection,
    segments: Sequence[Sealed],
    excerpts: Mapping[Sealed, Excerpt] = MappingProxyType({}),
) -> None:
    """Make the temporary tables `sources` and `lines` of every line of `segments`.

    Of a segment in `excerpts`, only the excerpt is read. Raises what `stage` raises.
    """
    stage(con, sources_of(segments, excerpts))


def sources_of(segments: Sequence[Sealed], excerpts: Mapping[Sealed, Excerpt]) -> list[Source]:
    """Return the file to read for each segment. Raises SegmentUnreadable."""
    return [_source(item, excerpts) for item in segments]


def stage(con: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    """Make the temporary tables `sources` and `lines` of every line of `sources`.

    Raises SegmentUnreadable for a segment that cannot be read whole or holds lines of an unknown
    kind; duckdb.IOException if a segment was deleted meanwhile.
    """
    stage_sources(con, sources)
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE lines AS {_select_lines(sources)}")
    except _BAD_CONTENT as error:
        raise _unreadable_among(con, sources, error) from error
    _check_counts(con, sources)


def _source(segment: Sealed, excerpts: Mapping[Sealed, Excerpt]) -> Source:
    excerpt = excerpts.get(segment)
    if excerpt is None:
        return Source.whole(segment)
    if excerpt.segment_lines != segment.lines:
        reason = f"it has {excerpt.segment_lines} lines, its name says {segment.lines}"
        raise SegmentUnreadable(segment, reason)
    return Source(segment, excerpt.path, excerpt.lines)


def stage_sources(con: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    """Make the temporary table `sources` of the files to read."""
    columns = {
        "file": [str(item.path) for item in sources],
        "series": [item.segment.series for item in sources],
        "segment": [item.segment.number for item in sources],
    }
    types = {"file": "VARCHAR", "series": "VARCHAR", "segment": "BIGINT"}
    unnested = ", ".join(f"unnest(${name}::{types[name]}[]) AS {name}" for name in columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE sources AS SELECT {unnested}", columns)


def _unreadable_among(
    con: duckdb.DuckDBPyConnection, sources: Sequence[Source], error: Exception
) -> Exception:
    for source in sources:
        try:
            con.execute(f"SELECT count(COLUMNS(*)) FROM ({_select_lines([source])})")
        except _BAD_CONTENT:
            return SegmentUnreadable(source.segment, "a line cannot be read")
    return error


def no_lines() -> str:
    """Return SQL for the columns of `lines`, without rows; it reads `sources`."""
    return _select_lines([])


def _select_lines(sources: Sequence[Source]) -> str:
    """Return SQL for the lines with the stored columns of every table.

    A series is an ENUM: in the order of the rows and in their groups, its name is a byte or two.
    """
    fields = {name: value for table in TABLES for name, value in table.stored_values().items()}
    values = ", ".join(f"{value} AS {name}" for name, value in fields.items())
    return f"""
        SELECT kind, {values}, series::{_series_type(sources)} AS series, segment, _n AS seq,
               make_timestamp(epoch_us(received_at))::DATE AS {PARTITION},
               CASE WHEN dedupe_key IS NOT NULL THEN {HASH} END AS key_hash
        FROM {_read_ndjson(sources)} AS logical JOIN sources USING (file)
    """


def _series_type(sources: Sequence[Source]) -> str:
    names = sorted({item.segment.series for item in sources})
    return f"ENUM({', '.join(map(quoted, names))})" if names else "VARCHAR"


def _read_ndjson(sources: Sequence[Source]) -> str:
    columns = {"kind": "VARCHAR", "_n": "BIGINT"}
    for table in TABLES:
        columns |= {field: table.line_type(field) for field in table.fields}
    if not any(item.lines for item in sources):
        nulls = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in columns.items())
        return f"(SELECT {nulls}, NULL::VARCHAR AS file LIMIT 0)"
    listed = ", ".join(quoted(str(item.path)) for item in sources)
    typed = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    return (
        f"read_ndjson([{listed}], columns = {{{typed}}}, filename = 'file', "
        f"compression = 'uncompressed', maximum_object_size = {_LINE_BYTES_MAX})"
    )


def stage_tables(con: duckdb.DuckDBPyConnection, snapshots: Sequence[Snapshot]) -> None:
    """Make a view `staged_<table>` per table: its rows in `lines` above its watermarks.

    `stored_<table>` shows the same rows with the stored columns. `staged_events` includes the
    duplicates until `mark_duplicates` has moved them. `staged_keys` are the keys of its rows, with
    their hashes.
    """
    firsts = _firsts(con)
    _mark_old_duplicates(con, firsts, *(of_table(snapshots, each) for each in (EVENTS, DUPLICATES)))
    for snapshot in snapshots:
        table = snapshot.table
        staged = " AND ".join([f"kind = {quoted(table.kind)}", *_unseen(snapshot, firsts)])
        for view, columns in (("staged", table.read(())), ("stored", table.read_stored(()))):
            con.execute(f"""
                CREATE OR REPLACE TEMP VIEW {view}_{table.name} AS
                SELECT {columns} FROM lines WHERE {staged}
            """)
        if table.is_keyed:
            con.execute(f"""
                CREATE OR REPLACE TEMP VIEW staged_keys AS
                SELECT tenant_id, {table.packing.read["dedupe_key"]} AS dedupe_key,
                       key_hash AS hash, received_at, {PARTITION}
                FROM lines WHERE {staged} AND key_hash IS NOT NULL
            """)


@dataclass(frozen=True, slots=True)
class _First:
    """The first segment and the first line of a series in `lines`."""

    series: str
    segment: int
    seq: int


def _firsts(con: duckdb.DuckDBPyConnection) -> list[_First]:
    rows = con.execute("SELECT series, min(segment), min(seq) FROM lines GROUP BY 1").fetchall()
    return [_First(*row) for row in rows]


def _mark_old_duplicates(
    con: duckdb.DuckDBPyConnection,
    firsts: Sequence[_First],
    events: Snapshot,
    duplicates: Snapshot,
) -> None:
    """Mark again the duplicates of a compaction that died after its commit to `events`.

    They are the lines that have no row in `events`, although they lie at or below its watermarks,
    and that lie above the watermarks of `duplicates`.
    """
    behind = [
        f"({_held(events, first.series)} AND NOT {_held(duplicates, first.series)})"
        for first in firsts
        if _watermarks(events, first.series) > _watermarks(duplicates, first.series)
    ]
    if not behind:
        return
    condition = f"kind = {quoted(EVENTS.kind)} AND ({' OR '.join(behind)})"
    earliest = one_value(con, f"SELECT min({PARTITION})::VARCHAR FROM lines WHERE {condition}")
    held = events.relation(events.files_since(str(earliest)))
    con.execute(f"""
        UPDATE lines SET kind = {quoted(DUPLICATES.kind)}
        WHERE {condition} AND (series, seq) NOT IN (SELECT (series, seq) FROM {held})
    """)


def _unseen(snapshot: Snapshot, firsts: Sequence[_First]) -> Iterator[str]:
    """Yield conditions that exclude the staged lines that the table holds; usually none."""
    for first in firsts:
        segment, seq = _watermarks(snapshot, first.series)
        if segment >= first.segment or seq >= first.seq:
            yield f"NOT {_held(snapshot, first.series)}"


def _watermarks(snapshot: Snapshot, series: str) -> tuple[int, int]:
    return snapshot.watermark(series), snapshot.lines(series)


def _held(snapshot: Snapshot, series: str) -> str:
    """Return the condition that the table holds a line of a series."""
    segment, seq = _watermarks(snapshot, series)
    return f"(series = {quoted(series)} AND (segment <= {segment} OR seq <= {seq}))"


def _check_counts(con: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    kinds = ", ".join(map(quoted, _WRITTEN_KINDS))
    rows = con.execute(
        f"SELECT series, segment, count(*) FROM lines WHERE kind IN ({kinds}) GROUP BY ALL"
    ).fetchall()
    read = {(series, number): lines for series, number, lines in rows}
    for source in sources:
        lines = read.get((source.segment.series, source.segment.number), 0)
        if lines != source.lines:
            reason = f"{source.lines - lines} of {source.lines} lines are of no known kind"
            raise SegmentUnreadable(source.segment, reason)
