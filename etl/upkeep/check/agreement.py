"""Whether log and lake agree: the lines of compacted segments and the rows made of them.

Every line of an event is one row of `events` or, where an event of its key is in the lake, one of
`duplicates`; every refused line is one row of `rejected`; and there is no row without its line. A
line that was erased has no row, but as a duplicate it stays counted: that names nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from etl.lake import duck, staging
from etl.lake.snapshot import RETAINED_FROM, Snapshot
from etl.lake.tables import DUPLICATES, EVENTS, PARTITION, REJECTED
from etl.log.format import ERASED_KIND
from etl.log.segments import Sealed
from etl.upkeep.check.findings import Findings, Problem

_BATCH_BYTES_MAX = 256 << 20
_LINE = "series, segment, seq"
_REPORTED_MAX = 100


def compare(compacted: Iterator[Sealed], snapshots: Sequence[Snapshot], found: Findings) -> None:
    """Compare segments that every table holds, with all tables, and add what is wrong."""
    for batch in _batches(compacted):
        _compare(batch, snapshots, found)


def read_tail(tail: Iterator[Sealed], found: Findings) -> None:
    """Read segments as the next compaction will, and add those that it would refuse."""
    for batch in _batches(tail):
        present = [segment for segment in batch if segment.path.exists()]
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            _stage_all_but_refused(con, present, found)


def _stage_all_but_refused(
    con: duckdb.DuckDBPyConnection, present: list[Sealed], found: Findings
) -> None:
    while present:
        try:
            staging.stage_lines(con, present)
            return
        except duckdb.IOException:
            return  # compacted and deleted while we looked
        except staging.SegmentUnreadable as error:
            where = (error.segment.series, error.segment.number)
            found.problems.append(Problem("segment-refused", error.reason, *where))
            present = [segment for segment in present if segment != error.segment]


def _batches(compacted: Iterator[Sealed]) -> Iterator[list[Sealed]]:
    batch: list[Sealed] = []
    total = 0
    for segment in compacted:
        size = segment.path.stat().st_size if segment.path.exists() else 0
        if batch and total + size > _BATCH_BYTES_MAX:
            yield batch
            batch, total = [], 0
        batch.append(segment)
        total += size
    if batch:
        yield batch


def _compare(batch: list[Sealed], snapshots: Sequence[Snapshot], found: Findings) -> None:
    present = [segment for segment in batch if segment.path.exists()]
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        try:
            staging.stage_lines(con, present)
        except duckdb.IOException:
            return  # deleted while we looked: compacted for longer than the grace
        except staging.SegmentUnreadable as error:
            where = (error.segment.series, error.segment.number)
            found.problems.append(Problem("segment-refused", error.reason, *where))
            return
        for tables in ((EVENTS, DUPLICATES), (REJECTED,)):
            split = [snapshot for snapshot in snapshots if snapshot.table in tables]
            try:
                found.compared_lines += _compare_kind(con, split, found)
            except duckdb.Error as error:
                detail = f"{tables[0].name}: {error}"
                found.problems.append(Problem("lake-unreadable", detail))


def _compare_kind(
    con: duckdb.DuckDBPyConnection, split: Sequence[Snapshot], found: Findings
) -> int:
    """Compare the lines of one kind with the tables they are split into; how many lines."""
    table = split[0].table
    held = " UNION ALL ".join(
        f"SELECT {_LINE}, '{one.table.name}' AS held_by FROM {one.relation()}" for one in split
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE rows AS FROM ({held}) SEMI JOIN sources "
        "USING (series, segment)"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE expected AS FROM lines WHERE kind = '{table.kind}'")
    for what, query, detail in (
        ("line-not-in-lake", _lost(split), f"line {{}} is not in {table.name}"),
        ("row-not-in-log", _INVENTED, f"row {{}} of {table.name} is no line of its segment"),
        ("row-twice", _DOUBLED, f"line {{}} is more than one row of {table.name}"),
    ):
        for series, segment, seq in con.execute(f"{query} LIMIT {_REPORTED_MAX}").fetchall():
            found.problems.append(Problem(what, detail.format(seq), series, segment))
    return duck.count(con, "expected")


def _lost(split: Sequence[Snapshot]) -> str:
    retained_from = max(one.property(RETAINED_FROM) or "" for one in split)
    return f"""
        SELECT {_LINE} FROM expected
        ANTI JOIN ({" UNION ALL ".join(_standing(split))}) USING ({_LINE})
        WHERE {PARTITION}::VARCHAR >= '{retained_from}'"""


def _standing(split: Sequence[Snapshot]) -> Iterator[str]:
    """The lines that rows stand for."""
    table = split[0].table
    yield f"SELECT {_LINE} FROM rows WHERE held_by = '{table.name}'"
    if table is EVENTS:
        yield f"""
            SELECT e.series, e.segment, e.seq
            FROM (FROM expected SEMI JOIN rows USING ({_LINE})) e
            SEMI JOIN {split[0].relation()} l
            ON l.tenant_id = e.tenant_id AND l.dedupe_key = e.dedupe_key"""


_INVENTED = f"""
    SELECT {_LINE} FROM rows ANTI JOIN expected USING ({_LINE})
    WHERE held_by <> '{DUPLICATES.name}'
       OR ({_LINE}) NOT IN
          (SELECT ({_LINE}) FROM lines WHERE kind = '{ERASED_KIND}')"""
_DOUBLED = f"SELECT {_LINE} FROM rows GROUP BY ALL HAVING count(*) > 1"
