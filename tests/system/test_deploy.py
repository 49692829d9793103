"""The unit of systemd in `deploy/`, for every role that it names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from harness import REPOSITORY

UNIT = REPOSITORY / "deploy/systemd/beaconlog@.service"
TEXT = UNIT.read_text()
PROGRAM = "/opt/beaconlog/bin/beaconlog"
ROLES = sorted(set(re.findall(r"beaconlog@([a-z]+)", TEXT)))
EXPOSURE_MAX = 2.0


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)


def installed(folder: Path, role: str, text: str = TEXT) -> Path:
    """The unit of a role, with a program that exists on this machine."""
    assert PROGRAM in text
    path = folder / f"beaconlog@{role}.service"
    path.write_text(text.replace(PROGRAM, "/bin/true"))
    return path


def test_it_is_for_every_role() -> None:
    """A shipper is no unit: it runs beside the collectors of `serve` and `collect`."""
    assert ROLES == ["collect", "serve", "warehouse"]


@pytest.mark.parametrize("role", ROLES)
def test_systemd_finds_no_error_in_the_unit(role: str, tmp_path: Path) -> None:
    """Errors are on stderr; the exit code is 0 all the same."""
    assert analyze("verify", installed(tmp_path, role)).stderr == ""


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("ProtectSystems", "strict", "ProtectSystems"),
        ("SystemCallFilter", "@no-such-set", "@no-such-set"),
    ],
)
def test_systemd_would_find_an_error(key: str, value: str, found: str, tmp_path: Path) -> None:
    """In a key and in a value."""
    text = TEXT.replace("[Install]", f"{key}={value}\n\n[Install]")
    assert found in analyze("verify", installed(tmp_path, "serve", text)).stderr


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    """By systemd's own measure, from 0 (closed) to 10."""
    unit = installed(tmp_path, "serve")
    printed = analyze("security", "--offline=yes", "--no-pager", unit).stdout
    [exposure] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", printed)
    assert float(exposure) < EXPOSURE_MAX
