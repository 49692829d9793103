"""Copies of a data folder that are put back and written on: nothing that was acked is lost.

Made by `backup` during load and compaction, by `cp -a` of a stopped folder, and restored twice.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import REPOSITORY, Service, environment, eventually, run_command
from http_tools import TRACK

if TYPE_CHECKING:
    from harness import StartService

pytestmark = pytest.mark.default_python

SETTINGS: dict[str, object] = {
    "workers": 2,
    "segment_age_s": 0.1,
    "segment_grace_s": 0,
    "compact_interval_s": 0.5,
    "throttle_api": "off",
}
BACKUPS = 3
PAUSE_S = 0.05


def send(service: Service, count: int) -> None:
    """Events that are acked."""
    for _ in range(count):
        assert service.post(TRACK, {"tenant_id": "1", "type": "call"}).status == 202


def run(data: Path, *arguments: str) -> str:
    """The output of a command that must succeed."""
    done = run_command(environment(REPOSITORY, {"data": data}), data.parent, arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def counted(data: Path) -> int:
    """The events that a report counts in a folder that nobody writes."""
    rows = json.loads(run(data, "report", "summary", "--json"))["rows"]
    return sum(row["events"] for row in rows)


def written_on(start_service: StartService, data: Path) -> int:
    """Start on a folder, store events, stop and compact: they all count, and `check` is content.

    Return the events that were there before.
    """
    service = start_service(name=data.name, **SETTINGS)
    before = reported(service)
    send(service, 20)
    eventually(lambda: reported(service) == before + 20)
    assert service.stop() == 0
    run(data, "compact", "--json")
    assert counted(data) == before + 20
    assert json.loads(run(data, "check", "--json"))["ok"]
    return before


def reported(service: Service) -> int:
    return sum(row["events"] for row in service.report("summary")["rows"])


@contextmanager
def loaded(service: Service) -> Iterator[None]:
    """Send events all the while."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(PAUSE_S):
            send(service, 1)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_backups_during_load_and_compaction_can_be_written_on(
    start_service: StartService, tmp_path: Path
) -> None:
    """Whatever is committed and deleted while they are copied."""
    service = start_service(**SETTINGS)
    copies = [tmp_path / f"copy{number}" for number in range(BACKUPS)]
    with loaded(service):
        for copy in copies:
            compactions = service.log().count(" compacted ")
            eventually(lambda n=compactions: service.log().count(" compacted ") > n)
            run(service.data, "backup", str(copy))
    assert service.stop() == 0
    for copy in copies:
        assert written_on(start_service, copy) > 0


def test_a_stopped_folder_that_is_copied_and_restored_twice(
    start_service: StartService, tmp_path: Path
) -> None:
    """Each copy goes its own way; the lake of the original knows more of its series than they."""
    service = start_service(**SETTINGS)
    send(service, 20)
    assert service.stop() == 0
    kept = tmp_path / "kept"
    shutil.copytree(service.data, kept, symlinks=True)
    written_on(start_service, service.data)
    for _ in range(2):
        shutil.rmtree(service.data)
        shutil.copytree(kept, service.data, symlinks=True)
        assert written_on(start_service, service.data) == 20
