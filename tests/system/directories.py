"""Data folders with a directory: the same CSV is imported once per test process, then copied.

An import costs as much as half a start of the service, and most tests only need its outcome.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


def new_folder(data: Path, csv: tuple[bytes, ...], do_import: Callable[[Path], None]) -> None:
    """Make `data` as `do_import` makes a folder from these CSV texts."""
    made = Path(_kept().name) / str(hash(csv))
    if not made.exists():
        do_import(made)
    shutil.copytree(made, data, dirs_exist_ok=True)


@cache
def _kept() -> TemporaryDirectory[str]:
    """The folders made so far; they go with the process."""
    return TemporaryDirectory(prefix="beaconlog-directories-")
