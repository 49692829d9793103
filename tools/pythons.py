"""Find the Pythons to test on: those of setup.cfg's classifiers that this machine has.

    python tools/pythons.py others      print the versions found, except the one that runs this
    python tools/pythons.py path 3.12   print the interpreter of a version; exit 1 if there is none
    python tools/pythons.py summary     print which were found, which were not, and newer ones

A version is searched as `python3.X` on PATH, then in the folders of pyenv and uv, the newest patch
first. The first interpreter counts that runs, can make a virtual environment and is not a
free-threaded build: the shims of pyenv on PATH fail for a version that is not activated.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
_OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
_TRY = """\
import ensurepip, sys, sysconfig, venv
assert not sysconfig.get_config_var("Py_GIL_DISABLED")
print("%d.%d" % sys.version_info[:2])
"""
_TRY_TIMEOUT_S = 20
_NEWER_MAX = 5
_FOLDERS = (".pyenv/versions", ".local/share/uv/python")


def classified(setup: Path) -> list[str]:
    """Return the versions of the package's classifiers, such as 3.11, oldest first."""
    parser = configparser.ConfigParser()
    parser.read_string(setup.read_text("utf-8"))
    classifiers = parser["metadata"]["classifiers"]
    return sorted(re.findall(r"Python :: (3\.[0-9]+)$", classifiers, re.MULTILINE), key=_key)


def find(version: str, environ: Mapping[str, str]) -> Path | None:
    """Return an interpreter of this version that works; None if this machine has none."""
    return next((path for path in _candidates(version, environ) if _works(path, version)), None)


def summary(versions: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield one line each for the versions found, those not found, and newer ones found."""
    found = [version for version in versions if find(version, environ)]
    newest = max(_key(version)[1] for version in versions)
    newer = [f"3.{minor}" for minor in range(newest + 1, newest + 1 + _NEWER_MAX)]
    lines = {
        "Tests run on": found,
        "Not on this machine:": [version for version in versions if version not in found],
        "Found, but not in setup.cfg:": [version for version in newer if find(version, environ)],
    }
    for text, names in lines.items():
        if names:
            yield f"{text} Python {', '.join(names)}"


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if version == _OWN:
        yield Path(sys.executable)
    name = f"python{version}"
    for folder in environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder, name)
    home = Path(environ.get("HOME", "/nonexistent"))
    folders = [home / folder for folder in _FOLDERS]
    if root := environ.get("PYENV_ROOT"):
        folders.insert(0, Path(root, "versions"))
    for folder in folders:
        yield from sorted(folder.glob(f"*{version}.*/bin/{name}"), key=_key, reverse=True)


def _works(path: Path, version: str) -> bool:
    try:
        done = subprocess.run(
            [path, "-c", _TRY], capture_output=True, text=True, check=False, timeout=_TRY_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def _key(text: object) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", str(text))]


def main(arguments: list[str]) -> int:
    """Carry out one of the three commands."""
    others = [version for version in classified(SETUP) if version != _OWN]
    match arguments:
        case ["others"]:
            print(" ".join(version for version in others if find(version, os.environ)))
        case ["path", version]:
            path = find(version, os.environ)
            if path is None:
                print(f"no working Python {version} on this machine", file=sys.stderr)
                return 1
            print(path)
        case ["summary"]:
            print("\n".join(summary([_OWN, *others], os.environ)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
