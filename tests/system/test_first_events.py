"""The README's "First events": pasted into bash as it stands, it prints what the README says."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import IO

import pytest
from dependencies import linked
from harness import group
from ports import free_ports, is_free

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 560
PORTS = {"BEACONLOG_PORT": "8080", "BEACONLOG_REPORTS_PORT": "8081"}
LOCK = Path(gettempdir()) / "beaconlog-first-events.lock"
SOON = {"BEACONLOG_SEGMENT_AGE_S": "0.1"}  # a busy machine may be late for the README's sleep
NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "benchmarks", "data"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh one: what `git clone` would give, but for what no command of it reads."""
    return Path(shutil.copytree(ROOT, tmp_path / "beaconlog", ignore=NOT_COPIED))


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """The README's ports by their setting; another where somebody else has one of them.

    A run of another Python beside this one would find them free, too: who has the lock uses them.
    """
    others = free_ports(len(PORTS))
    with LOCK.open("w") as lock:
        is_first = try_to_lock(lock)
        yield {
            setting: port if is_first and is_free(int(port)) else str(other)
            for (setting, port), other in zip(PORTS.items(), others, strict=True)
        }


def try_to_lock(file: IO[str]) -> bool:
    """Whether nobody else has the lock of a file; it is given back when the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_it_prints_what_the_readme_says(
    checkout: Path, ports: dict[str, str], tmp_path: Path
) -> None:
    """Word for word, but for a port that is taken: the answers, then the report."""
    commands, report = first_events()
    shown = re.findall(r"^# (\{.*\})$", commands, re.MULTILINE)
    there = {"PYTHONPATH": str(linked(tmp_path / "dependencies"))}
    raw = pasted(with_ports(commands, ports), checkout, ports | there)
    printed = re.sub(r" *\n", "\n", raw).rstrip() + "\n"
    assert printed.endswith(report)
    answers = re.findall(r"\{.*?\}", printed.removesuffix(report))
    assert [keys_and_words(answer) for answer in answers] == [keys_and_words(one) for one in shown]


def first_events() -> tuple[str, str]:
    """The README's commands, and the report it shows after them."""
    section = (ROOT / "README.md").read_text().partition("\n## First events\n")[2]
    commands, report = re.findall(r"^```(?:sh)?\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[:2]
    return commands, report


def with_ports(commands: str, ports: dict[str, str]) -> str:
    """The commands asking these ports, and waiting for longer: a busy machine starts slowly."""
    commands = commands.replace("--retry 30 ", "--retry 300 ")
    for setting, port in PORTS.items():
        commands = commands.replace(f"localhost:{port}", f"localhost:{ports[setting]}")
    return commands


def pasted(commands: str, folder: Path, settings: dict[str, str]) -> str:
    """Run these lines in bash and return its output; end the service that they start."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("BEACONLOG_")}
    shell = subprocess.Popen(
        ["bash", "--norc", "-e"],
        cwd=folder,
        env={**env, **SOON, **settings, "PYTHON": sys.executable},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        ended = f"{commands}\nkill %1\nwait\n"
        out, err = shell.communicate(ended, timeout=TIMEOUT_S)
    finally:
        for pid in group(shell.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert shell.returncode == 0, out + err
    return out


def keys_and_words(answer: str) -> dict[str, object]:
    """An answer without what is another each time."""
    return {key: value for key, value in json.loads(answer).items() if key != "event_id"}
