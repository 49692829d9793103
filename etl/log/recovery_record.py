"""What recovery took out of segments, kept for the operator beside them: `recovered.ndjson`.

A line a segment that held damage, durable before the file is changed: afterwards the damage is seen
no more. A recovery that was killed and runs again finds the same, or nothing, and adds nothing. A
segment that was sealed as it is needs no line, nor the space for one on a full disk. Of a series
the last 1 000 decisions are kept.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from etl import durable

log = logging.getLogger(__name__)

NAME = "recovered.ndjson"
_KEPT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found in one segment that was left open.

    `lines` were kept; `torn_bytes` had not been acked; `corrupt_offsets`, in the segment as it was,
    lie in data that had been.
    """

    series: str
    segment: int
    lines: int
    torn_bytes: int
    corrupt_offsets: tuple[int, ...]


def keep(folder: Path, decision: Decision) -> None:
    """Add a decision to those of its series, durably."""
    if not (decision.torn_bytes or decision.corrupt_offsets):
        return
    known = read(folder)
    if known[-1:] != [decision]:
        kept = [*known, decision][-_KEPT_MAX:]
        durable.write_file(folder / NAME, b"".join(map(_encode, kept)))


def _encode(decision: Decision) -> bytes:
    fields = asdict(decision)
    del fields["series"]  # it is the folder's name
    return json.dumps(fields).encode() + b"\n"


def read(folder: Path) -> list[Decision]:
    """The decisions of one series, oldest first; a line that is none is passed over."""
    path = folder / NAME
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = (_decode(folder, line) for line in lines)
    return [decision for decision in found if decision]


def _decode(folder: Path, line: bytes) -> Decision | None:
    try:
        fields = json.loads(line)
        offsets = tuple(fields.pop("corrupt_offsets"))
        return Decision(series=folder.name, corrupt_offsets=offsets, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        log.warning(
            "a line is no decision of a recovery", extra={"fields": {"path": str(folder / NAME)}}
        )
        return None
