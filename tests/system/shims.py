"""Libraries that tests load into a process with LD_PRELOAD, compiled from C beside the tests."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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


class SteppedClock:
    """The wall clock of the processes whose command lines begin with `prefix`.

    `clockshim.c`, compiled, steps it. The file at `path` holds the step.
    """

    def __init__(self, shim: Path, path: Path) -> None:
        self._path = path
        self.prefix = ("env", f"LD_PRELOAD={shim}", f"CLOCKSHIM_FILE={path}")
        path.write_bytes(bytes(8))

    @contextmanager
    def off_by(self, offset_s: int) -> Iterator[None]:
        """Step it by so many seconds, and back."""
        self._set(offset_s)
        try:
            yield
        finally:
            self._set(0)

    def _set(self, offset_s: int) -> None:
        with self._path.open("r+b", buffering=0) as file:  # the same file, which is mapped
            file.write(struct.pack("=q", offset_s))
