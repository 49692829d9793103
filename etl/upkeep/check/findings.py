"""The findings of a verification: counts, and problems with their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from etl.log.recovery_record import Decision


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: `what` is its kind, a stable slug; the other fields say where it is."""

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
    """The counts of one verified table."""

    version: int | None
    files: int
    rows: int
    commits: int


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """The counts of the saved directory of a server, and the seconds since it was read."""

    tenants: int
    products: int
    age_s: float


@dataclass(slots=True)
class Findings:
    """The counts of a verification, the decisions of recovery, and the problems."""

    series: int = 0
    segments: int = 0
    lines: int = 0
    bytes: int = 0
    open_segments: int = 0
    broken_files: int = 0
    unshipped_segments: int = 0
    unshipped_bytes: int = 0
    compared_lines: int = 0
    key_files: int = 0
    missing_key_files: int = 0
    recovered: list[Decision] = field(default_factory=list)
    tables: dict[str, TableFacts] = field(default_factory=dict)
    directory: DirectoryFacts | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def describe(findings: Findings) -> Iterator[str]:
    """Yield the findings as lines of text, without the problems."""
    yield (
        f"log: {findings.series} series, {findings.segments} sealed segments, "
        f"{findings.lines} lines, {findings.bytes} bytes verified; "
        f"{findings.open_segments} open, {findings.broken_files} set aside"
    )
    if findings.unshipped_segments:
        yield (
            f"shipping: {findings.unshipped_segments} segments, {findings.unshipped_bytes} bytes "
            "are on this machine only"
        )
    yield from map(_describe_recovered, findings.recovered)
    for name, facts in findings.tables.items():
        yield (
            f"{name}: version {facts.version}, {facts.files} files, {facts.rows} rows, "
            f"{facts.commits} commits balanced"
        )
    yield f"key files: {findings.key_files} verified, {findings.missing_key_files} missing"
    if findings.directory:
        saved = findings.directory
        yield (
            f"directory: {saved.tenants} tenants, {saved.products} products, "
            f"read {saved.age_s:.0f} s ago"
        )
    yield f"agreement: {findings.compared_lines} lines of kept segments found in the lake"
    yield "all is well" if findings.ok else f"{len(findings.problems)} problems"


def _describe_recovered(decision: Decision) -> str:
    offsets = ", ".join(map(str, decision.corrupt_offsets))
    damage = f"; damage in acked data at bytes {offsets}" if offsets else ""
    return (
        f"recovered {decision.series}/{decision.segment}: {decision.lines} lines kept, "
        f"{decision.torn_bytes} bytes of an unacked tail set aside{damage}"
    )
