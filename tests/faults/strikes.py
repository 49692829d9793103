"""Strike at every call of a scenario: what the tests of kills and of disk errors share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shims import compiled

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIMEOUT_S = 560


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`faultshim.c` as a library."""
    return compiled(HERE / "faultshim.c", tmp_path_factory.mktemp("shim"))


def strike_all(
    shim: Path, folder: Path, name: str, mode: str, *, first: int = 1, step: int = 1
) -> dict[str, Any]:
    """Strike once at each call of a scenario, or at every `step`th; return what came of it."""
    paths = [ROOT, ROOT / "tests" / "unit"]
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    done = subprocess.run(
        [sys.executable, HERE / "scenarios.py", name, mode, folder, str(first), str(step)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"stderr": done.stderr[-4000:]}
