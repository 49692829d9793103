"""Verification: every sealed segment, every file of the lake, and that the two agree.

- segments: name, line count, file CRC, chained line CRCs, ordinals; numbers without gaps, from
  the watermark on;
- lake: every file of the newest snapshot is there, of the size and rows its commit says;
- books: for every commit, lines = rows + duplicates;
- folder: what lies where it should not, or is not what it should be, see `etl.upkeep.check.folder`;
- tail: every line of the segments that are not compacted yet is of a known kind;
- agreement: of the compacted segments that are still there, see `etl.upkeep.check.agreement`.

It only reads, and may run beside a live service: segments are listed before the snapshot is
loaded, as for the live view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from etl.lake import delta_log
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot
from etl.lake.tables import TABLES
from etl.layout import Layout
from etl.log import recovery_record, segments, verification
from etl.log.recovery_record import Decision
from etl.log.segments import Sealed
from etl.log.series import SeriesFormatError, check_format
from etl.log.verification import SegmentCorrupt
from etl.upkeep.check import agreement
from etl.upkeep.check import folder as folder_check
from etl.upkeep.check.findings import Findings, Problem, TableFacts

_ATTEMPTS_MAX = 3
_UNREADABLE = "table-unreadable"


def run(data: Path) -> Findings:
    """Verify a data folder. What is wrong is in the findings, not raised.

    Raises NewerFormat or DataFolderError where nothing can be said of a folder of that format.

    A compaction that starts after a power cut may set an entry of the lake's log aside while it is
    looked at: then all is looked at again.
    """
    layout = Layout(data.absolute())
    layout.refuse_newer()
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
    found.problems += folder_check.problems(layout)
    snapshots = list(_load_tables(layout, found))
    intact = list(_verify_log(layout, sealed, found))
    _verify_numbers(sealed, snapshots, found)
    whole = [
        item for item in snapshots if _verify_files(layout.table(item.table.name), item, found)
    ]
    if len(whole) == len(TABLES):
        agreement.compare(_compacted(intact, snapshots), snapshots, found)
        compacted = set(_compacted(intact, snapshots))
        agreement.read_tail((item for item in intact if item not in compacted), found)


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
        try:
            check_format(folder)
        except SeriesFormatError as error:
            found.problems.append(Problem("series-format", str(error)))
    for listed in sealed.values():
        for segment in listed:
            if _verify_segment(segment, found):
                yield segment


def _verify_segment(segment: Sealed, found: Findings) -> bool:
    try:
        size = verification.verify(segment)
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
            yield Snapshot.load(layout.table(table.name), table)
        except LakeError as error:
            found.problems.append(Problem(_UNREADABLE, str(error)))


def _verify_files(folder: Path, snapshot: Snapshot, found: Findings) -> bool:
    books = list(delta_log.books(folder))
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
