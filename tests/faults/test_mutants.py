"""The tests can fail: every seeded bug of `mutants.py` is caught by the test that it names.

Broken: a copy of the sources, in one place at a time. Must hold: the named test passes on the
sources as they are, and fails on the mutant.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant
from scale import figures, is_soak

ROOT = Path(__file__).resolve().parents[2]
NURSERY = Path(__file__).with_name("nursery.py")
PASSED, FAILED = 0, 1

Run = Callable[[str], int]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources and the tests; Python takes bytecode only of unchanged sources."""
    copy = tmp_path_factory.mktemp("mutants") / "tree"
    half_written = shutil.ignore_patterns("*.pyc.*")  # by another Python's tests, which rename it
    for name in ("service", "etl", "schemas", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=half_written)
    shutil.copy(ROOT / "setup.cfg", copy)
    return copy


@pytest.fixture(scope="module")
def run(tree: Path) -> Iterator[Run]:
    """Run pytest on one test, with the sources of the copy; return its exit code."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    with subprocess.Popen(
        [sys.executable, "-P", NURSERY],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        assert nursery.stdin
        assert nursery.stdout
        asked, answers = nursery.stdin, nursery.stdout

        def ask(test: str) -> int:
            asked.write(json.dumps([str(tree), test]) + "\n")
            asked.flush()
            return int(answers.readline())

        yield ask
        asked.close()


@contextmanager
def seeded(mutant: Mutant, tree: Path) -> Iterator[None]:
    """The copy with the bug, and without it afterwards."""
    try:
        for patch in mutant.patches:
            patch.apply(tree)
        yield
    finally:
        for patch in mutant.patches:
            shutil.copy2(ROOT / patch.file, tree / patch.file)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_seeded_bug_is_caught(mutant: Mutant, tree: Path, run: Run) -> None:
    """By the test it names, which passes without it (that is asked in the long form alone: in the
    short one the suite runs it anyway)."""
    with figures(f"seeded bug: {mutant.name}") as counts:
        if is_soak():
            assert run(mutant.caught_by) == PASSED
        with seeded(mutant, tree):
            assert run(mutant.caught_by) == FAILED, f"{mutant.caught_by} lets it pass"
        counts["caught"] = 1


def test_a_test_passes_without_a_bug(run: Run) -> None:
    """Else a nursery that cannot run any would seem to catch them all."""
    assert run(MUTANTS[0].caught_by) == PASSED


def test_there_are_at_least_twelve() -> None:
    """Each of its own."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
