"""Libraries that tests load into a process with LD_PRELOAD, compiled from C beside the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def compiled(source: Path, folder: Path) -> Path:
    """Return the library made from a C file. Without a compiler, skip the test; fail it in CI."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        missing = f"no C compiler for {source.name}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    library = folder / f"{source.stem}.so"
    options = ["-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run([compiler, *options], check=True)
    return library
