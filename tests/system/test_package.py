"""What is installed from the package alone has all it needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_schemas_the_sql_and_the_tracker(tmp_path: Path) -> None:
    """Every file of these folders, and the command."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("beaconlog-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    patterns = ("schemas/v1/*.json", "etl/sql/*.sql", "service/web/tracker/*.js")
    wanted = [path for pattern in patterns for path in ROOT.glob(pattern)]
    assert len(wanted) > 12
    assert [path for path in wanted if str(path.relative_to(ROOT)) not in names] == []
    assert any(name.endswith("entry_points.txt") for name in names)
    assert not any(name.startswith(("tests/", "data/")) for name in names)
