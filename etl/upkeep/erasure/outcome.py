"""The counts of an erasure, which its steps add to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ErasureOutcome:
    """The counts of what was erased; `remaining` names the files that still hold the subject."""

    rows: int = 0
    rejected: int = 0
    rewritten_files: int = 0
    deleted_segments: int = 0
    erased_lines: int = 0
    deleted_files: int = 0
    remaining: list[str] = field(default_factory=list)
