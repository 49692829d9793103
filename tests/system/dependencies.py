"""The packages that beaconlog requires, linked from this Python into a folder of their own.

In PYTHONPATH it makes them there for pip and for beaconlog, and nothing else that tests install.
To install them again would take most of a test's time, and show what the installation of this
Python's environment has shown.
"""

from __future__ import annotations

import sysconfig
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def linked(folder: Path, package: str = "beaconlog") -> Path:
    """Make the folder, with what a package requires, and what that requires in turn."""
    folder.mkdir()
    installed = Path(sysconfig.get_path("platlib"))
    for name in _required(package):
        for top in {file.parts[0] for file in distribution(name).files or ()}:
            if (installed / top).exists() and not (folder / top).exists():
                (folder / top).symlink_to(installed / top)
    return folder


def _required(package: str) -> set[str]:
    """Return the names of what a package requires here without an extra, itself left out."""
    found: set[str] = set()
    left = [package]
    while left:
        wanted = map(Requirement, distribution(left.pop()).requires or ())
        names = {one.name for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})}
        left += names - found
        found |= names
    return found
