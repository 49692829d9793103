"""An installation from the package alone is complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from dependencies import linked
from harness import COLMENA_UUID, Service
from wire import TRACK

ROOT = Path(__file__).resolve().parents[2]
INSTALL_TIMEOUT_S = 560
SOURCES = ("service", "etl", "schemas", "tests", "tools")
DATA_FILES = (
    "schemas/v1/*.json",
    "etl/*.properties",
    "etl/*/sql/*.sql",
    "etl/lake/*.sql",
    "etl/lake/live/*.sql",
    "service/collector/throttle/valkey/*.lua",
    "service/web/public/tracker/*.js",
    "service/web/base.css",
    "service/web/openapi/static/*",
    "service/web/private/dashboard/static/*",
    "*/py.typed",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as a release would be, from a copy: a build writes into its folder."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in (
        "setup.cfg",
        "setup.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "data/README.md",
    ):
        (folder / "source" / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    build = ("--no-deps", "--no-build-isolation", "-w", folder, folder / "source")
    run(sys.executable, "-m", "pip", "wheel", "-q", *build)
    (built,) = folder.glob("beaconlog-*.whl")
    return built


def test_the_wheel_holds_what_is_read_at_run_time(wheel: Path) -> None:
    """Every schema, query, script and page; and nothing of the tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [path for pattern in DATA_FILES for path in ROOT.glob(pattern)]
    suffixes = {path.suffix for path in wanted}
    assert suffixes >= {".json", ".sql", ".js", ".css", ".html", ".typed", ".properties"}
    assert [path for path in wanted if str(path.relative_to(ROOT)) not in names] == []
    assert not any(name.startswith(("tests/", "data/", "tools/")) for name in names)


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its version, its Pythons, its home."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    told = message_from_string(archive.read(name).decode())
    assert told["Version"] == "0.1.0"
    assert told["Requires-Python"] == ">=3.11"
    assert told.get_all("Project-URL")
    versions = [line for line in told.get_all("Classifier", []) if "Python :: 3." in line]
    assert versions[0].endswith(" 3.11")


def test_a_fresh_environment_needs_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """With what it requires: it installs, says its version, takes an event and reports it."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    required = linked(tmp_path / "required")
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "-q", "--no-index", wheel, finds=required)
    assert run(python.with_name("beaconlog"), "--version", finds=required) == "beaconlog 0.1.0\n"
    service = Service(tmp_path / "data", python=python, code=required)
    service.import_directory()
    service.start()
    try:
        event = {"tenant_id": COLMENA_UUID, "type": "purchase"}
        assert service.post(TRACK, event).status == 202
        assert service.stop() == 0
        done = service.command("report", "funnel", "--format", "csv")
    finally:
        service.end()
    assert done.stdout.splitlines()[-1].split(",")[0] == "purchase", done.stderr
    assert done.stdout.splitlines()[-1].endswith(",1")


def run(*command: str | Path, finds: Path | None = None) -> str:
    """Run a command and return its output; fail if it fails. `finds`: packages for its Python."""
    done = subprocess.run(
        command,
        env=os.environ | ({"PYTHONPATH": str(finds)} if finds else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
