"""The Pythons that `make test` runs on: those of setup.cfg that this machine really has."""

from __future__ import annotations

import sys
from pathlib import Path

import pythons

NEWER = "3.99"


def interpreter(path: Path, version: str = NEWER) -> Path:
    """A program that answers as a Python of this version would."""
    return script(path, f"echo {version}")


def script(path: Path, line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def test_the_classifiers_say_which(tmp_path: Path) -> None:
    """A new one is a line of setup.cfg and nothing else; 3.9 comes before 3.11."""
    lines = ("Python :: 3.11", "Python :: 3.9", "Python :: 3", f"Python :: {NEWER}")
    text = "".join(f"    Programming Language :: {line}\n" for line in lines)
    setup = tmp_path / "setup.cfg"
    setup.write_text(f"[metadata]\nclassifiers =\n{text}")
    assert pythons.classified(setup) == ["3.9", "3.11", NEWER]


def test_the_oldest_is_the_one_that_the_package_requires() -> None:
    """Every promised version is tested."""
    oldest = pythons.classified(pythons.SETUP)[0]
    assert f"python_requires = >={oldest}\n" in pythons.SETUP.read_text()


def test_a_python_on_the_path_is_found(tmp_path: Path) -> None:
    """In whichever folder of it."""
    wanted = interpreter(tmp_path / "b" / f"python{NEWER}")
    environ = {"PATH": f"{tmp_path / 'a'}::{tmp_path / 'b'}"}
    assert pythons.find(NEWER, environ) == wanted


def test_a_shim_of_a_version_that_is_not_activated_is_passed_over(tmp_path: Path) -> None:
    """And the version found where pyenv keeps it, the newest patch of it, by number."""
    script(tmp_path / "shims" / f"python{NEWER}", "echo 'pyenv: command not found' >&2; exit 127")
    for patch in ("2", "9", "10"):
        interpreter(tmp_path / "root" / "versions" / f"{NEWER}.{patch}" / "bin" / f"python{NEWER}")
    environ = {"PATH": str(tmp_path / "shims"), "PYENV_ROOT": str(tmp_path / "root")}
    expected = tmp_path / "root" / "versions" / f"{NEWER}.10" / "bin" / f"python{NEWER}"
    assert pythons.find(NEWER, environ) == expected


def test_a_home_of_pyenv_or_uv_needs_no_variable(tmp_path: Path) -> None:
    """Where they are put by default."""
    for folder in (".pyenv/versions/3.99.1", ".local/share/uv/python/cpython-3.98.0-linux"):
        minor = folder.partition("3.")[2][:2]
        path = interpreter(tmp_path / folder / "bin" / f"python3.{minor}", f"3.{minor}")
        assert pythons.find(f"3.{minor}", {"HOME": str(tmp_path)}) == path


def test_another_version_under_the_name_is_not_taken(tmp_path: Path) -> None:
    """Nor one that is absent."""
    interpreter(tmp_path / f"python{NEWER}", "3.11")
    assert pythons.find(NEWER, {"PATH": str(tmp_path)}) is None
    assert pythons.find(NEWER, {}) is None


def test_both_those_run_and_those_that_are_not_there_are_told(tmp_path: Path) -> None:
    """Nobody takes one that was not there for one that passed, nor misses that there is a newer."""
    interpreter(tmp_path / f"python{NEWER}")
    interpreter(tmp_path / "python3.101", "3.101")
    own = f"3.{sys.version_info.minor}"
    assert list(pythons.summary([own, "3.98", NEWER], {"PATH": str(tmp_path)})) == [
        f"Tests run on Python {own}, {NEWER}",
        "Not on this machine: Python 3.98",
        "Found, but not in setup.cfg: Python 3.101",
    ]
