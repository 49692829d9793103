"""The agreement of log and lake: the lines of compacted segments, and their rows.

Every line of an event is one row of `events` or, if the lake has an event with its key, one row of
`duplicates`. Every rejected payload is one row of `rejected`. Every row has its line. An erased
line has no row, but if it was a duplicate, its row of `duplicates` may remain, which identifies
nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from etl.lake import duck, staging
from etl.lake.period import SALE_WINDOW
from etl.lake.snapshot import RETAINED_FROM, Snapshot
from etl.lake.tables import DUPLICATES, EVENTS, PARTITION, REJECTED
from etl.log.format import ERASED_KIND
from etl.log.segments import Sealed
from etl.upkeep.check.findings import Findings, Problem

_BATCH_BYTES_MAX = 256 << 20
_LINE = "series, segment, seq"
_REPORTED_MAX = 100


def compare(compacted: Sequence[Sealed], snapshots: Sequence[Snapshot], findings: Findings) -> None:
    """Compare the segments that every table holds with the tables; add problems to `findings`."""
    for con in _staged(compacted, findings):
        for tables in ((EVENTS, DUPLICATES), (REJECTED,)):
            split = [snapshot for snapshot in snapshots if snapshot.table in tables]
            try:
                findings.compared_lines += _compare_kind(con, split, findings)
            except duckdb.Error as error:
                detail = f"{tables[0].name}: {error}"
                findings.problems.append(Problem("lake-unreadable", detail))


def read_tail(tail: Sequence[Sealed], findings: Findings) -> None:
    """Read segments as the next compaction will; add those that it could not read to `findings`."""
    for _ in _staged(tail, findings):
        pass


def _staged(sealed: Sequence[Sealed], findings: Findings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection per batch, with the lines of its segments that can be read."""
    for batch in _batches(sealed):
        present = [segment for segment in batch if segment.path.exists()]
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            if _stage_readable(con, present, findings):
                yield con


def _stage_readable(
    con: duckdb.DuckDBPyConnection, present: list[Sealed], findings: Findings
) -> bool:
    """Stage the segments that can be read, add the others to `findings`; return whether any can."""
    while present:
        try:
            staging.stage_lines(con, present)
            return True
        except duckdb.IOException:
            return False  # a segment was compacted, and deleted since it was listed
        except staging.SegmentUnreadable as error:
            where = (error.segment.series, error.segment.number)
            findings.problems.append(Problem("segment-refused", error.reason, *where))
            present = [segment for segment in present if segment != error.segment]
    return False


def _batches(sealed: Sequence[Sealed]) -> Iterator[list[Sealed]]:
    batch: list[Sealed] = []
    total = 0
    for segment in sealed:
        size = segment.path.stat().st_size if segment.path.exists() else 0
        if batch and total + size > _BATCH_BYTES_MAX:
            yield batch
            batch, total = [], 0
        batch.append(segment)
        total += size
    if batch:
        yield batch


def _compare_kind(
    con: duckdb.DuckDBPyConnection, split: Sequence[Snapshot], findings: Findings
) -> int:
    """Compare the lines of one kind with the tables that hold them; return the number of lines."""
    table = split[0].table
    held = " UNION ALL ".join(
        f"SELECT {_LINE}, '{snapshot.table.name}' AS held_by FROM {snapshot.relation()}"
        for snapshot in split
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE rows AS FROM ({held}) SEMI JOIN sources "
        "USING (series, segment)"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE expected AS SELECT {table.read(())} FROM lines "
        f"WHERE kind = '{table.kind}'"
    )
    for what, query, detail in (
        ("line-not-in-lake", _missing(split), f"line {{}} is not in {table.name}"),
        ("row-not-in-log", _WITHOUT_LINE, f"row {{}} of {table.name} has no line in its segment"),
        ("row-twice", _TWICE, f"line {{}} is more than one row of {table.name}"),
    ):
        for series, segment, seq in con.execute(f"{query} LIMIT {_REPORTED_MAX}").fetchall():
            findings.problems.append(Problem(what, detail.format(seq), series, segment))
    return duck.count(con, "expected")


def _missing(split: Sequence[Snapshot]) -> str:
    retained_from = max(snapshot.property(RETAINED_FROM) or "" for snapshot in split)
    held = [*_held(split), *_held_after_retention(split, retained_from)]
    return f"""
        SELECT {_LINE} FROM expected
        ANTI JOIN ({" UNION ALL ".join(held)}) USING ({_LINE})
        WHERE {PARTITION}::VARCHAR >= '{retained_from}'"""


def _held(split: Sequence[Snapshot]) -> Iterator[str]:
    """Yield queries for the lines that have a row, and for repetitions of an event that has one."""
    table = split[0].table
    yield f"SELECT {_LINE} FROM rows WHERE held_by = '{table.name}'"
    if table is EVENTS:
        yield f"""
            SELECT e.series, e.segment, e.seq
            FROM (FROM expected SEMI JOIN rows USING ({_LINE})) e
            SEMI JOIN {split[0].relation()} l
            ON l.tenant_id = e.tenant_id AND l.dedupe_key = e.dedupe_key"""


def _held_after_retention(split: Sequence[Snapshot], retained_from: str) -> Iterator[str]:
    """Yield a query for the duplicates whose event may be of a day that retention has dropped."""
    if split[0].table is EVENTS and retained_from:
        yield f"""
            SELECT {_LINE} FROM (FROM expected SEMI JOIN rows USING ({_LINE}))
            WHERE {PARTITION} <= DATE '{retained_from}' + {SALE_WINDOW.days}"""


_WITHOUT_LINE = f"""
    SELECT {_LINE} FROM rows ANTI JOIN expected USING ({_LINE})
    WHERE held_by <> '{DUPLICATES.name}'
       OR ({_LINE}) NOT IN
          (SELECT ({_LINE}) FROM lines WHERE kind = '{ERASED_KIND}')"""
_TWICE = f"SELECT {_LINE} FROM rows GROUP BY ALL HAVING count(*) > 1"
