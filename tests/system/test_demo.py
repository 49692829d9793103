"""The demo ends by itself, shows the main job, and leaves nothing running."""

import os
import signal
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
    return traffic_tools.run("demo", "--events", 3000, data=data)


def sales_of_carts(data: Path) -> int:
    """Return the sales that began with no click in a chat; most of them have a visitor."""
    rows = traffic_tools.report("attribution", data=data)["rows"]
    return sum(row["last_transactions"] - row["linked_transactions"] for row in rows)


def test_the_demo_shows_reports_and_leaves_nothing_running(tmp_path: Path) -> None:
    """A month of shops, whose servers sign their sales; the buyers are visitors, too."""
    data = tmp_path / "demo"
    done = demo(data)
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("la-colmena", "purchase", "Miel de abeja", "all is well", "127.0.0.1:8081"):
        assert shown in done.stdout
    assert running_with(data) == []
    funnel = {row["step"]: row for row in traffic_tools.report("funnel", data=data)["rows"]}
    events = {step: row["events"] for step, row in funnel.items()}
    assert events["view"] > events["contact"] > 0
    assert events["view"] > events["cart"] > events["purchase"] > 0
    (sales,) = traffic_tools.report("signed-sales", "--tenant", "1", data=data)["rows"]
    assert (sales["verified_transactions"] > 0, sales["claimed_transactions"]) == (True, 0)
    assert len(traffic_tools.report("visitors", data=data)["rows"]) >= 30
    assert 0.7 < funnel["purchase"]["visitors"] / sales_of_carts(data) <= 1
    left = sum(row["carts"] for row in traffic_tools.report("abandoned-carts", data=data)["rows"])
    assert 0 < left < 0.9 * funnel["cart"]["visitors"]


def test_it_replaces_an_earlier_demo_and_shows_its_dashboard(tmp_path: Path) -> None:
    """Until Ctrl-C, in the browser of the desktop: here a program that fetches the page."""
    data, browser, page = tmp_path / "demo", tmp_path / "browser", tmp_path / "page"
    data.mkdir()
    for name in (".beaconlog-demo", "earlier"):
        (data / name).touch()
    browser.write_text(f'#!/bin/sh\ncurl --silent "$1" --output "{page}"\n')
    browser.chmod(0o755)
    with subprocess.Popen(
        traffic_tools.command("demo", "--events", 100, "--open", "--data", data),
        env={**traffic_tools.environment({}), "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        traffic_tools.eventually(
            lambda: page.exists() and "<html" in page.read_text(),
            timeout_s=traffic_tools.COMMAND_TIMEOUT_S,
            what="a page",
        )
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=traffic_tools.COMMAND_TIMEOUT_S)
    assert process.returncode == 0
    assert "the dashboard is at http://127.0.0.1:" in printed
    assert not (data / "earlier").exists()
    assert running_with(data) == []


def test_the_demo_never_removes_a_folder_it_did_not_make(tmp_path: Path) -> None:
    """One line, exit code 2, the file still there."""
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    done = demo(tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert kept.read_text() == "mine"
