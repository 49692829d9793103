"""What a verification found: facts in numbers, and problems with their place."""

from __future__ import annotations

from dataclasses import dataclass, field

from etl.log.recovery_record import Decision


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
