"""The demo ends by itself, shows the main job, and leaves nothing running."""

import os
import subprocess
from pathlib import Path

import traffic_tools


def running_with(folder: Path) -> list[str]:
    """Command lines of the processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and str(os.getpid()) != entry.parent.name:
            found.append(line)
    return found


def demo(data: Path) -> "subprocess.CompletedProcess[str]":
    return traffic_tools.run("demo", "--events", 1000, data=data)


def test_the_demo_shows_reports_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Twice in one folder: it is made anew."""
    data = tmp_path / "demo"
    for _ in range(2):
        done = demo(data)
        assert done.returncode == 0, done.stdout + done.stderr
        for shown in ("la-colmena", "purchase", "Miel de abeja", "all is well"):
            assert shown in done.stdout
        assert running_with(data) == []
    funnel = {
        row["step"]: row["events"] for row in traffic_tools.report("funnel", data=data)["rows"]
    }
    assert funnel["view"] > funnel["contact"] > 0
    assert funnel["view"] > funnel["cart"] > funnel["purchase"] > 0


def test_the_demo_never_removes_a_folder_it_did_not_make(tmp_path: Path) -> None:
    """One line, exit code 2, the file still there."""
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    done = demo(tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert kept.read_text() == "mine"
