"""The files of `deploy/` that no other test runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from harness import REPOSITORY

UNIT = REPOSITORY / "deploy/systemd/beaconlog@.service"
EXPOSURE_MAX = 2.0


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)


def installed(folder: Path) -> Path:
    """The unit, with a program that exists on this machine."""
    path = folder / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/beaconlog/bin/beaconlog", "/bin/true"))
    return path


def test_systemd_finds_no_error_in_the_unit(tmp_path: Path) -> None:
    """It exits with 0 even so: errors are on stderr."""
    assert analyze("verify", installed(tmp_path)).stderr == ""


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    """By systemd's own measure, from 0 (closed) to 10."""
    printed = analyze("security", "--offline=yes", "--no-pager", installed(tmp_path)).stdout
    [exposure] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", printed)
    assert float(exposure) < EXPOSURE_MAX
