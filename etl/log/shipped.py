"""The mark of a series whose segments are copied to object storage: `shipped` beside them.

It says up to which segment every one is known to be there, and whether the series has ended there.
With an older mark, a shipper only asks again for copies that exist. A series with a mark is known
there, so its folder is removed only after the series has ended there.

A backup copies the segments of all machines. It marks them as copies, because the machines may
live: a shipper that ended their series would let the warehouse remove them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from etl import durable

NAME = "shipped"


@dataclass(frozen=True, slots=True)
class Mark:
    """All segments up to `upto` are copied; `has_ended` if all are, and no more will come.

    `is_copy`: the series was itself copied from object storage, and is not shipped from here.
    """

    upto: int = 0
    has_ended: bool = False
    is_copy: bool = False


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
