"""Verification: every sealed segment, every file of the lake, and that the two agree.

- segments: name, line count, file CRC, chained line CRCs, ordinals; numbers without gaps, from
  the watermark on;
- lake: every file of the newest snapshot is there, of the size and rows its commit says;
- books: for every commit, lines = rows + duplicates;
- agreement: every line of a compacted segment that is still there is a row of the lake or a
  duplicate of one, and every row of the lake that came from it is a line of it.

It only reads, and may run beside a live service: segments are listed before the snapshot is
loaded, as for the live view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from etl import lake, lake_log, maintain, recovery_record, segments, staging
from etl.lake import LakeError, Snapshot
from etl.layout import Layout
from etl.recovery_record import Decision
from etl.segments import Sealed, SegmentCorrupt
from etl.tables import EVENTS, PARTITION, TABLES

_BATCH_BYTES_MAX = 256 << 20
_ATTEMPTS_MAX = 3
_UNREADABLE = "table-unreadable"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong: a stable slug, and where."""

    what: str
    detail: str
    series: str | None = None
    segment: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        place = "" if self.series is None else f" {self.series}/{self.segment}"
        at = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.what}{place}{at}: {self.detail}"


@dataclass(slots=True)
class TableFacts:
    """What was verified of one table."""

    version: int | None
    files: int
    rows: int
    commits: int


@dataclass(slots=True)
class Findings:
    """What was verified, in numbers; what recovery took out of segments; and what is wrong."""

    series: int = 0
    segments: int = 0
    lines: int = 0
    bytes: int = 0
    open_segments: int = 0
    broken_files: int = 0
    compared_lines: int = 0
    recovered: list[Decision] = field(default_factory=list)
    tables: dict[str, TableFacts] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def run(data: Path) -> Findings:
    """Verify a data folder. What is wrong is in the findings, never raised.

    A compaction that starts after a power cut may set an entry of the lake's log aside while it is
    looked at: then all is looked at again.
    """
    layout = Layout(data.absolute())
    for _ in range(_ATTEMPTS_MAX):
        found = Findings()
        try:
            _verify(layout, found)
        except LakeError as error:
            found.problems.append(Problem(_UNREADABLE, str(error)))
        if not any(problem.what == _UNREADABLE for problem in found.problems):
            break
    return found


def _verify(layout: Layout, found: Findings) -> None:
    sealed = segments.sealed_everywhere(layout.log)
    snapshots = list(_load_tables(layout, found))
    intact = list(_verify_log(layout, sealed, found))
    _verify_numbers(sealed, snapshots, found)
    whole = [
        item for item in snapshots if _verify_files(layout.table(item.table.name), item, found)
    ]
    if len(whole) == len(TABLES):
        for batch in _batches(_compacted(intact, snapshots)):
            _compare(batch, snapshots, found)


def describe(found: Findings) -> Iterator[str]:
    """The findings as lines for a person."""
    yield (
        f"log: {found.series} series, {found.segments} sealed segments, {found.lines} lines, "
        f"{found.bytes} bytes verified; {found.open_segments} open, {found.broken_files} set aside"
    )
    yield from map(_describe_recovered, found.recovered)
    for name, facts in found.tables.items():
        yield (
            f"{name}: version {facts.version}, {facts.files} files, {facts.rows} rows, "
            f"{facts.commits} commits balanced"
        )
    yield f"agreement: {found.compared_lines} lines of kept segments found in the lake"
    yield "all is well" if found.ok else f"{len(found.problems)} problems"


def _describe_recovered(decision: Decision) -> str:
    offsets = ", ".join(map(str, decision.corrupt_offsets))
    damage = f"; damage in acked data at bytes {offsets}" if offsets else ""
    return (
        f"recovered {decision.series}/{decision.segment}: {decision.lines} lines kept, "
        f"{decision.torn_bytes} bytes of an unacked tail set aside{damage}"
    )


# -- the log ----------------------------------------------------------------------------------


def _verify_log(
    layout: Layout, sealed: dict[str, list[Sealed]], found: Findings
) -> Iterator[Sealed]:
    for folder in segments.series_folders(layout.log):
        found.series += 1
        found.open_segments += len(segments.open_in(folder))
        found.broken_files += len(list(folder.glob("*.broken*")))
        found.recovered += recovery_record.read(folder)
    for listed in sealed.values():
        for segment in listed:
            if _verify_segment(segment, found):
                yield segment


def _verify_segment(segment: Sealed, found: Findings) -> bool:
    try:
        size = segments.verify(segment)
    except FileNotFoundError:
        return False  # compacted long ago, and deleted while we looked
    except SegmentCorrupt as error:
        where = (error.series, error.number, error.offset)
        found.problems.append(Problem("segment-corrupt", error.reason, *where))
        return False
    except OSError as error:
        problem = Problem("segment-unreadable", str(error), segment.series, segment.number)
        found.problems.append(problem)
        return False
    found.segments += 1
    found.lines += segment.lines
    found.bytes += size
    return True


def _verify_numbers(
    sealed: dict[str, list[Sealed]], snapshots: Sequence[Snapshot], found: Findings
) -> None:
    for series, listed in sealed.items():
        mark = min((item.watermark(series) for item in snapshots), default=0)
        expected = min(listed[0].number, mark + 1) if listed else mark + 1
        for segment in listed:
            if segment.number > max(expected, mark + 1):
                expected = max(expected, mark + 1)
                detail = f"numbers {expected} to {segment.number - 1} are missing"
                found.problems.append(Problem("segment-missing", detail, series, expected))
            elif segment.number < expected:
                detail = "two files have this number"
                found.problems.append(Problem("segment-twice", detail, series, segment.number))
            expected = segment.number + 1


# -- the lake ---------------------------------------------------------------------------------


def _load_tables(layout: Layout, found: Findings) -> Iterator[Snapshot]:
    for table in TABLES:
        try:
            yield lake.load(layout.table(table.name), table)
        except LakeError as error:
            found.problems.append(Problem(_UNREADABLE, str(error)))


def _verify_files(folder: Path, snapshot: Snapshot, found: Findings) -> bool:
    books = list(lake_log.books(folder))
    problems = [*_file_problems(folder, snapshot), *_book_problems(snapshot, books)]
    found.problems += problems
    rows = sum(file.rows for file in snapshot.listed())
    facts = TableFacts(snapshot.version, len(snapshot.files), rows, len(books))
    found.tables[snapshot.table.name] = facts
    return not problems


def _file_problems(folder: Path, snapshot: Snapshot) -> Iterator[Problem]:
    for file in snapshot.listed():
        path = folder / file.path
        where = f"{snapshot.table.name}/{file.path}"
        try:
            held = pq.read_metadata(path).num_rows
            if path.stat().st_size != file.size_bytes:
                what = f"{where}: not the {file.size_bytes} bytes committed"
                yield Problem("lake-file-size", what)
            if held != file.rows:
                yield Problem("lake-file-rows", f"{where}: {held} rows, {file.rows} committed")
        except (OSError, ValueError) as error:
            yield Problem("lake-file-unreadable", f"{where}: {error}")


def _book_problems(
    snapshot: Snapshot, books: Sequence[tuple[int, Mapping[str, int]]]
) -> Iterator[Problem]:
    for version, book in books:
        lines, rows, duplicates = (book.get(key, 0) for key in ("lines", "rows", "duplicates"))
        if lines != rows + duplicates:
            detail = (
                f"{snapshot.table.name} version {version}: {lines} lines, "
                f"{rows} rows, {duplicates} duplicates"
            )
            yield Problem("books-unbalanced", detail)


# -- their agreement --------------------------------------------------------------------------


def _compacted(intact: Sequence[Sealed], snapshots: Sequence[Snapshot]) -> Iterator[Sealed]:
    for segment in intact:
        if segment.number <= min(item.watermark(segment.series) for item in snapshots):
            yield segment


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
        except staging.SegmentRefused as error:
            where = (error.segment.series, error.segment.number)
            found.problems.append(Problem("segment-refused", error.reason, *where))
            return
        for snapshot in snapshots:
            try:
                found.compared_lines += _compare_table(con, snapshot, found)
            except duckdb.Error as error:
                detail = f"{snapshot.table.name}: {error}"
                found.problems.append(Problem("lake-unreadable", detail))


def _compare_table(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, found: Findings) -> int:
    table = snapshot.table
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE rows AS FROM {snapshot.relation()} "
        "SEMI JOIN sources USING (series, segment)"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE expected AS FROM lines WHERE kind = '{table.kind}'")
    same_key = (
        f"UNION ALL SELECT e.series, e.segment, e.seq FROM expected e SEMI JOIN "
        f"{snapshot.relation()} l ON l.tenant_id = e.tenant_id AND l.dedupe_key = e.dedupe_key"
        if table is EVENTS
        else ""
    )
    retained_from = snapshot.property(maintain.RETAINED_FROM) or "0001-01-01"
    lost = f"""SELECT series, segment, seq FROM expected ANTI JOIN
        (SELECT series, segment, seq FROM rows {same_key}) USING (series, segment, seq)
        WHERE {PARTITION} >= '{retained_from}'"""
    invented = (
        "SELECT series, segment, seq FROM rows ANTI JOIN expected USING (series, segment, seq)"
    )
    for what, query, detail in (
        ("line-not-in-lake", lost, f"line {{}} is not in {table.name}"),
        ("row-not-in-log", invented, f"row {{}} of {table.name} is no line of its segment"),
    ):
        for series, segment, seq in con.execute(f"{query} LIMIT 100").fetchall():
            found.problems.append(Problem(what, detail.format(seq), series, segment))
    return staging.count(con, "expected")
