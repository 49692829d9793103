"""The mark of a series whose segments are copied to object storage: `shipped` beside them.

It says up to which segment every one is known to be there, and whether the series has ended there.
Without the mark, or with an older one, a shipper only asks again for copies that exist.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from etl import durable

NAME = "shipped"


@dataclass(frozen=True, slots=True)
class Mark:
    """All segments up to `upto` are copied; `has_ended` if all are, and no more will come."""

    upto: int = 0
    has_ended: bool = False


def write(folder: Path, mark: Mark) -> None:
    """Replace the mark of a series, durably. Raises OSError."""
    durable.write_file(folder / NAME, json.dumps(asdict(mark)).encode() + b"\n")


def read(folder: Path) -> Mark:
    """Return the mark of a series; that of a series that was never shipped if it is unreadable."""
    try:
        mark = Mark(**json.loads((folder / NAME).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return Mark()
    return mark if type(mark.upto) is int else Mark()
