"""The record of the bytes that recovery took out of segments: `recovered.ndjson` beside them.

One line per damaged segment, written durably before the repair, because the repair hides the
damage. A recovery that was killed and runs again adds no second line. An undamaged segment gets no
line, so its recovery needs no space on a full disk. The last 1 000 decisions of a series are kept.
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
    """The decision on one segment that was left open.

    `lines` counts the lines kept, `torn_bytes` the bytes that were never acked. `corrupt_offsets`
    is where damage to acked data began, in the segment before the repair.
    """

    series: str
    segment: int
    lines: int
    torn_bytes: int
    corrupt_offsets: tuple[int, ...]


def keep(folder: Path, decision: Decision) -> None:
    """Add a decision to the record of its series, durably. Raises OSError."""
    if not (decision.torn_bytes or decision.corrupt_offsets):
        return
    earlier = read(folder)
    if earlier[-1:] != [decision]:
        kept = [*earlier, decision][-_KEPT_MAX:]
        durable.write_file(folder / NAME, b"".join(map(_encode, kept)))


def _encode(decision: Decision) -> bytes:
    fields = asdict(decision)
    del fields["series"]  # it is the folder's name
    return json.dumps(fields).encode() + b"\n"


def read(folder: Path) -> list[Decision]:
    """Return the decisions of one series, oldest first; invalid lines are skipped and logged."""
    path = folder / NAME
    lines = path.read_bytes().splitlines() if path.exists() else []
    decisions = (_decode(folder, line) for line in lines)
    return [decision for decision in decisions if decision]


def _decode(folder: Path, line: bytes) -> Decision | None:
    try:
        fields = json.loads(line)
        offsets = tuple(fields.pop("corrupt_offsets"))
        return Decision(series=folder.name, corrupt_offsets=offsets, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        log.warning(
            "skipped an invalid line of recovery's record",
            extra={"fields": {"path": str(folder / NAME)}},
        )
        return None
