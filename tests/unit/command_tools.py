"""Tools of the tests of commands: how one is called, how it ended, and files for it to read."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TENANTS = """\
id,uuid,slug,name,status
1,5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10,la-colmena,La Colmena,active
2,,el-faro,El Faro,closed
"""
PRODUCTS = "id,tenant_id,name,price\n1042,1,Botas,99.50\n"
COMMANDS = ["serve", "collect", "warehouse", "compact", "report", "check", "replay", "demo", "sql"]


class Ended:
    """A command that ended: its exit code, what it printed, and what it told on stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Cli = Callable[..., Ended]


def is_one_line_error(ended: Ended) -> bool:
    """Exit code 2, and one line that begins with the program's name."""
    one_line = ended.err.count("\n") == 1 and ended.err.startswith("beaconlog: ")
    return ended.code == 2 and ended.out == "" and one_line


def as_a_person(*arguments: object) -> Ended:
    """Run a command as a process of its own, in the current folder."""
    command = [sys.executable, "-m", "service", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def text_file(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path
