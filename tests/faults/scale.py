"""How long the attacks are: short in `make test`, long in `make soak`.

`make soak SCALE=0.1` runs a tenth of the long form, but never less than the short one. What each
attack did is written to the file of figures that `make soak` prints at its end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCALE = float(os.environ.get("BEACONLOG_SOAK", "0"))
_FIGURES = os.environ.get("BEACONLOG_SOAK_FIGURES")


def is_soak() -> bool:
    """Whether this is the long form."""
    return _SCALE > 0


def rounds(short: int, long: int) -> int:
    """How many rounds an attack runs."""
    return max(short, round(long * _SCALE)) if is_soak() else short


@contextmanager
def figures(attack: str) -> Iterator[dict[str, int]]:
    """Counts of what an attack did, to be filled in; kept, with the seconds it took."""
    counts: dict[str, int] = {}
    began_s = time.monotonic()
    yield counts
    if _FIGURES:
        line = {"attack": attack, **counts, "took_s": round(time.monotonic() - began_s)}
        with Path(_FIGURES).open("a") as file:
            file.write(json.dumps(line) + "\n")
