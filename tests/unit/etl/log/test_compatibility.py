"""Formats of data folders: what is written down, when, and that a newer one is left alone."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from log_tools import Shop, event
from typer.testing import CliRunner

from etl import lake
from etl.lake import compaction
from etl.lake.errors import LakeError
from etl.layout import FORMAT, DataFolderError, Layout, NewerFormat
from etl.log import compatibility, mending
from etl.log.series import SeriesFormatError
from etl.upkeep import backup, channels, check, erasure, maintenance
from etl.upkeep.erasure import Subject
from service.cli.commands import app

NEWER = f"written by a newer beaconlog (format {FORMAT + 1}); this one reads up to {FORMAT}"
SUBJECT = Subject(visitor_id="0123456789abcdef")
JOBS: dict[str, Callable[[Shop], object]] = {
    "compact": lambda shop: compaction.run(shop.data, compaction.CompactionPlan(), 0.0),
    "maintain": lambda shop: maintenance.run(shop.data, maintenance.MaintenancePlan(), 0.0),
    "channels": lambda shop: channels.run(shop.data, compaction.CompactionPlan(), 0.0),
    "erase": lambda shop: erasure.run(shop.data, SUBJECT, compaction.CompactionPlan(), 0.0),
    "backup": lambda shop: backup.run(shop.data, shop.data.with_name("copy")),
    "mend": lambda shop: mending.run(shop.data, "h-w0-aa", 1, int),
}
COMMANDS = [
    "serve",
    "collect",
    "warehouse",
    "compact",
    "maintain",
    "channels",
    "erase --tenant 1 --yes",
    "backup copy",
    "report summary",
    "sql SELECT",
    "check",
    "mend h-w0-aa/1",
    "directory list",
    "directory import tenants.csv",
    "token create",
    "token list",
    "token revoke 00",
]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """One sealed segment; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    shop = Shop(tmp_path / "data")
    shop.seal(event(0))
    return shop


@pytest.fixture
def newer(shop: Shop) -> Shop:
    """A folder that a later version has marked."""
    shop.layout.format_file.write_text(json.dumps({"format": FORMAT + 1, "more": True}))
    return shop


def contents(shop: Shop) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in shop.data.parent.rglob("*") if path.is_file()}


def test_a_folder_that_was_never_marked_is_of_the_first_format(tmp_path: Path) -> None:
    """Versions before formats were numbered left no mark; a writing role marks it."""
    layout = Layout(tmp_path / "data")
    layout.log.mkdir(parents=True)
    assert layout.format() == 1
    layout.prepare()
    assert json.loads((tmp_path / "data" / "format.json").read_text()) == {"format": FORMAT}


def test_a_folder_is_marked_before_anything_else_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durably: the name is synced. Marked once, it is not written again."""
    synced: list[str] = []
    sync = os.fsync

    def noted(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        sync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    Layout(tmp_path / "data").prepare()
    assert synced[-2:] == [f"{tmp_path}/data/format.json.tmp", f"{tmp_path}/data"]
    before = (tmp_path / "data" / "format.json").stat().st_ino
    Layout(tmp_path / "data").prepare()
    assert (tmp_path / "data" / "format.json").stat().st_ino == before


def test_reading_marks_nothing(shop: Shop) -> None:
    """An earlier version may go on with a folder that was only read."""
    shop.layout.format_file.unlink()
    assert len(shop.event_ids()) == 1
    assert check.run(shop.data).ok
    assert not shop.layout.format_file.exists()


@pytest.mark.parametrize("name", JOBS)
def test_a_job_leaves_a_newer_folder_alone(newer: Shop, name: str) -> None:
    """Nothing is written, not even a lock."""
    before = contents(newer)
    with pytest.raises(NewerFormat, match="upgrade, or restore a backup"):
        JOBS[name](newer)
    assert contents(newer) == before


def test_a_notebook_is_refused_a_newer_folder(newer: Shop) -> None:
    """With an error that says what to do."""
    with pytest.raises(LakeError, match="written by a newer beaconlog"):
        lake.connect(newer.data)
    with pytest.raises(NewerFormat):
        check.run(newer.data)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_a_newer_folder(newer: Shop, command: str) -> None:
    """In one line, with exit code 2, and touches nothing."""
    before = contents(newer)
    done = CliRunner().invoke(app, [*command.split(), "--data", str(newer.data)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"beaconlog: data folder {newer.data}: {NEWER}: upgrade, or restore a backup\n"
    )
    assert contents(newer) == before


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"format": 0}', '{"format": "2"}', '{"format": true}']
)
def test_a_mark_that_tells_nothing_is_refused(shop: Shop, content: str) -> None:
    """It is never taken for an old folder."""
    shop.layout.format_file.write_text(content)
    with pytest.raises(DataFolderError, match="holds no format"):
        shop.compact()


@pytest.mark.parametrize("name", JOBS)
def test_a_job_leaves_a_newer_series_alone(shop: Shop, name: str) -> None:
    """As `serve` does: its segments may not mean what they seem to."""
    (shop.folder() / "series.json").write_text('{"format": 99, "series": "h-w0-aa"}')
    before = contents(shop)
    with pytest.raises(SeriesFormatError, match="format 99"):
        JOBS[name](shop)
    assert contents(shop) == before


def test_a_newer_series_is_not_read(shop: Shop) -> None:
    """A report is refused, and `check` names it."""
    (shop.folder() / "series.json").write_text('{"format": 99, "series": "h-w0-aa"}')
    with pytest.raises(LakeError, match="format 99"):
        shop.event_ids()
    assert [problem.what for problem in check.run(shop.data).problems] == ["series-format"]
    with pytest.raises(SeriesFormatError):
        compatibility.refuse_newer(shop.layout)
