"""The verification of the log: each sealed segment by itself, and the numbers of each series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from etl.layout import Layout
from etl.log import recovery_record, segments, verification
from etl.log.segments import Sealed
from etl.log.series import SeriesFormatError, check_format
from etl.log.store import SegmentStore
from etl.log.verification import SegmentCorrupt
from etl.upkeep.check.findings import Findings, Problem


def verify(
    layout: Layout, sealed: Mapping[str, Sequence[Sealed]], findings: Findings
) -> Iterator[Sealed]:
    """Verify every series and yield its intact segments."""
    for folder in segments.series_folders(layout.log):
        findings.series += 1
        findings.open_segments += len(segments.open_in(folder))
        findings.broken_files += len(list(folder.glob("*.broken*")))
        findings.recovered += recovery_record.read(folder)
        try:
            check_format(folder)
        except SeriesFormatError as error:
            findings.problems.append(Problem("series-format", str(error)))
    for listed in sealed.values():
        for segment in listed:
            if _is_intact(segment, findings):
                yield segment


def verify_shipping(store: SegmentStore, findings: Findings) -> None:
    """Verify the segments that wait to be shipped, and add why they cannot be."""
    unshipped = store.unshipped()
    findings.unshipped_segments = sum(_is_intact(item, findings) for item in unshipped.waiting)
    findings.unshipped_bytes = unshipped.size_bytes
    findings.problems += [Problem("not-shipped", problem) for problem in unshipped.problems]


def verify_numbers(
    sealed: Mapping[str, Sequence[Sealed]], watermarks: Mapping[str, int], findings: Findings
) -> None:
    """Verify that no number above the series' watermark is missing, and that none occurs twice."""
    for series, listed in sealed.items():
        watermark = watermarks[series]
        # Numbers up to the watermark may be missing: compacted segments are deleted.
        expected = min(listed[0].number, watermark + 1) if listed else watermark + 1
        for segment in listed:
            if segment.number > max(expected, watermark + 1):
                expected = max(expected, watermark + 1)
                detail = f"numbers {expected} to {segment.number - 1} are missing"
                findings.problems.append(Problem("segment-missing", detail, series, expected))
            elif segment.number < expected:
                detail = "two files have this number"
                findings.problems.append(Problem("segment-twice", detail, series, segment.number))
            expected = segment.number + 1


def _is_intact(segment: Sealed, findings: Findings) -> bool:
    try:
        size = verification.verify(segment)
    except FileNotFoundError:
        return False  # compacted, and deleted since it was listed
    except SegmentCorrupt as error:
        where = (error.series, error.number, error.offset)
        findings.problems.append(Problem("segment-corrupt", error.reason, *where))
        return False
    except OSError as error:
        problem = Problem("segment-unreadable", str(error), segment.series, segment.number)
        findings.problems.append(problem)
        return False
    findings.segments += 1
    findings.lines += segment.lines
    findings.bytes += size
    return True
