"""A process imports what it needs: most of a short command's time is the time of its imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAKE = {"duckdb", "deltalake", "pyarrow"}
STORAGE = {"obstore"}
SERVER = {"tornado", "uvloop"}
THROTTLE_SERVER = {"hiredis", "service.collector.throttle.valkey.server"}


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("service.cli.commands", {*LAKE, *SERVER, "sqlalchemy", "jsonschema", "rich.console"}),
        ("service.cli.tables", {*LAKE, *SERVER, "sqlalchemy"}),
        (
            "service.processes.database",
            {*LAKE, *SERVER, "jsonschema", "sqlalchemy.dialects.postgresql"},
        ),
        ("service.processes.start", {*LAKE, *THROTTLE_SERVER, "typer"}),
        ("service.processes.metrics_port", {*LAKE, *STORAGE, *THROTTLE_SERVER, "sqlalchemy"}),
        ("service.processes.collector", {*LAKE, *THROTTLE_SERVER, "typer"}),
        ("etl.lake.live.view", {*SERVER, *STORAGE, "sqlalchemy"}),
        ("etl.lake.compaction", {*SERVER, *STORAGE, "sqlalchemy"}),
        ("etl.upkeep.check", {*SERVER, *STORAGE, "sqlalchemy"}),
    ],
)
def test_a_module_imports_nothing_that_it_does_not_need(module: str, spared: set[str]) -> None:
    """Whatever it imports in turn."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert spared.isdisjoint(done.stdout.split())


READ_MODULES = """
import sys
from pathlib import Path
from service.cli.commands import app
try:
    app(["compact", "--json"])
except SystemExit:
    print(*sys.modules)
"""


def test_a_command_imports_neither_drawing_in_a_pipe_nor_other_engines(tmp_path: Path) -> None:
    """It asks the stream whether somebody sees it."""
    done = subprocess.run(
        [sys.executable, "-c", READ_MODULES],
        env={**os.environ, "BEACONLOG_DATA": str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
    )
    imported = done.stdout.split()
    assert "etl.lake.compaction" in imported
    assert {"rich.console", "etl.lake.engines"}.isdisjoint(imported)
