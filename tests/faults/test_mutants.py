"""The tests can fail: every seeded bug of `mutants.py` is caught by the test that it names.

Broken: a copy of the sources, in one place at a time. Must hold: the named test passes on the
sources as they are, and fails on the mutant.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant
from scale import figures, is_soak

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 60  # a bug may show as a test that never ends
TIMEOUT_S = 280
PASSED, FAILED = 0, 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources and the tests; Python takes bytecode only of unchanged sources."""
    for name in ("service", "etl", "schemas", "tests"):
        shutil.copytree(ROOT / name, tmp_path / "tree" / name)
    shutil.copy(ROOT / "setup.cfg", tmp_path / "tree")
    return tmp_path / "tree"


def run(tree: Path, test: str) -> int:
    """The exit code of pytest on one test, with the sources of that tree."""
    options = ["-x", "-p", "no:cacheprovider", "--timeout", str(HANG_S)]
    command = [sys.executable, "-m", "pytest", *options, test]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    return done.returncode


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_seeded_bug_is_caught(mutant: Mutant, tree: Path) -> None:
    """By the test it names, which passes without it (that is asked in the long form alone: in the
    short one the suite runs it anyway)."""
    with figures(f"seeded bug: {mutant.name}") as counts:
        if is_soak():
            assert run(tree, mutant.caught_by) == PASSED
        for patch in mutant.patches:
            patch.apply(tree)
        assert run(tree, mutant.caught_by) == FAILED, f"{mutant.caught_by} lets it pass"
        counts["caught"] = 1


def test_there_are_at_least_twelve() -> None:
    """Each of its own."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
