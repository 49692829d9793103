"""The shell completes what a command takes, as bash asks for it after a TAB."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPORT = "beaconlog report funnel"
TIMEOUT_S = 120
COMMAND = Path(sys.executable).with_name("beaconlog")


@pytest.fixture(scope="module")
def script() -> str:
    """Return the lines that --install-completion adds to bash."""
    return output([COMMAND], {"_BEACONLOG_COMPLETE": "source_bash"})


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("beaconlog rep", ["replay", "report"]),
        ("beaconlog report fu", ["funnel"]),
        ("beaconlog report t", ["timeseries", "top-products", "trend"]),
        (f"{REPORT} --inter", ["--interval"]),
        (f"{REPORT} --interval ", ["hour", "day", "week", "month"]),
        (f"{REPORT} --format ", ["table", "json", "csv", "parquet", "arrow"]),
        (f"{REPORT} --endpoint c", ["conversion"]),
        (f"{REPORT} --type call", ["call", "call_click"]),
        (f"{REPORT} --tz America/Teg", ["America/Tegucigalpa"]),
        ("beaconlog report nothing-like-it", []),
    ],
)
def test_bash_completes(script: str, typed: str, completions: list[str]) -> None:
    """Names of commands, reports and options, and the values of those that take one of a few."""
    assert completed(script, typed) == completions


def test_every_report_is_completed(script: str) -> None:
    """Each has a file of SQL."""
    folder = Path(__file__).parents[2] / "etl" / "reports" / "sql"
    reports = sorted(path.stem for path in folder.glob("[a-z]*.sql"))
    assert completed(script, "beaconlog report ") == reports


def completed(script: str, typed: str) -> list[str]:
    """Return the completions that bash offers after these words and a TAB."""
    words = [*shlex.split(typed), ""] if typed.endswith(" ") else shlex.split(typed)
    code = f"""
        {script}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        complete -p beaconlog | grep -q -- '-F _beaconlog_completion' || exit 1
        _beaconlog_completion beaconlog
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return output(["bash", "--norc", "-c", code], {}).split()


def output(command: list[str | Path], settings: dict[str, str]) -> str:
    """Return its output, with the `beaconlog` of this environment."""
    env = {**os.environ, **settings, "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
