"""The copies of a lake in object storage: of the Delta logs, and of fetched files."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction
from log_tools import DAY_S, Shop, event, rejection
from object_tools import FolderObjects
from shared_lake_tools import ONCE, Warehouse, bucket_of

from etl.directory.tenant_reference import TenantNames
from etl.lake.errors import LakeError, LakeUnavailable
from etl.lake.shared import downloads, file_cache
from etl.lake.tables import EVENTS
from etl.log.store import LocalLog
from etl.object_store import Listed, ObjectStoreError
from etl.upkeep import erasure, maintenance
from etl.upkeep.erasure import Subject
from etl.upkeep.maintenance import MaintenancePlan


class Machines:
    """Two machines that share a lake; `objects` are the requests of the second one."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder / "log")
        self.log = LocalLog.of(self.shop.layout)
        self.objects = FolderObjects(folder / "bucket")
        bucket = bucket_of(FolderObjects(folder / "bucket"))
        self.one = Warehouse(folder / "one", bucket, self.log)
        self.folder = folder / "two"
        self.two = self.restarted()

    def restarted(self, **options: int) -> Warehouse:
        """Return the second machine as a new process."""
        return Warehouse(self.folder, bucket_of(self.objects), self.log, **options)

    def fill(self, start: int, end: int) -> None:
        """Commit events of as many days."""
        for number in range(start, end):
            self.shop.seal(event(number * DAY_S))
            self.one.compact()

    def checkpoint(self) -> int:
        """Make a checkpoint of the newest version of the events; return that version."""
        newest = self.one.lake.load(EVENTS).version
        assert newest is not None
        self.one.lake.table(EVENTS).checkpoint(newest)
        return newest

    def clean(self) -> None:
        """Delete the entries before the newest version of the events."""
        self.one.lake.table(EVENTS).delete_entries_before(self.checkpoint())

    def left(self) -> list[str]:
        """Return the temporary files of the second machine's downloads."""
        return [path.name for path in self.two.layout.downloads.glob("*")]


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


def overtake(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]
) -> None:
    """Let something happen after the second machine has listed the log of the events."""
    listed, pending = machines.objects.listed, [meanwhile]

    def overtaken(below: str = "", after: str = "") -> list[Listed]:
        found = listed(below, after)
        if pending and below.startswith("events/_delta_log/"):
            pending.pop()()
        return found

    monkeypatch.setattr(machines.objects, "listed", overtaken)


@pytest.mark.parametrize("known", [0, 1])
def test_entries_deleted_after_a_listing_leave_no_gap(machines, monkeypatch, known):
    """On a new machine, whose listing lacks the checkpoint, and on one that had begun."""
    machines.fill(0, 1)
    if known:
        machines.two.event_ids()
    machines.fill(1, 4)
    overtake(machines, monkeypatch, machines.clean)
    assert len(machines.two.event_ids()) == 4
    log = machines.two.layout.lake / "events/_delta_log"
    newest = machines.one.lake.load(EVENTS).version
    names = sorted(path.name for path in log.glob("0*"))
    assert names == [f"{newest:020}.checkpoint.parquet", f"{newest:020}.json"]
    assert machines.left() == []


def test_a_checkpoint_made_after_a_listing_hides_no_table(machines, monkeypatch):
    """A copy of its name, as an earlier version made them, would point to one that is not here."""
    machines.fill(0, 1)
    machines.checkpoint()
    name = machines.two.layout.lake / "events/_delta_log/_last_checkpoint"

    def newer() -> None:
        machines.fill(1, 2)
        machines.checkpoint()

    overtake(machines, monkeypatch, newer)
    assert machines.two.lake.load(EVENTS).version == 1
    name.write_text('{"version":2,"size":3}')
    assert machines.restarted().lake.load(EVENTS).version == 2
    assert not name.exists()


def test_a_fetch_that_fails_is_continued(machines, monkeypatch):
    """The files that were whole stay, and no temporary file does."""
    machines.fill(0, 3)
    download, refused = machines.objects.download, []

    def failing(key: str, path: Path) -> None:
        if key.endswith(".parquet") and "11-24" in key and not refused:
            refused.append(key)
            raise ObjectStoreError("the server does not answer")
        download(key, path)

    monkeypatch.setattr(machines.objects, "download", failing)
    with pytest.raises(LakeUnavailable, match="the server does not answer"):
        machines.two.event_ids()
    assert 1 <= len(machines.two.copies()) <= 2
    assert machines.left() == []
    assert len(machines.two.event_ids()) == 3


def test_two_questions_download_a_file_once(machines, monkeypatch):
    machines.fill(0, 1)
    download, begun, calls = machines.objects.download, threading.Event(), []
    snapshot = machines.two.lake.load(EVENTS)

    def noted(key: str, path: Path) -> None:
        calls.append(key)
        begun.set()
        other.join(0.2)  # it ends only where nothing holds it back
        download(key, path)

    def second() -> None:
        begun.wait(60)
        snapshot.fetch()

    monkeypatch.setattr(machines.objects, "download", noted)
    other = threading.Thread(target=second)
    other.start()
    snapshot.fetch()
    other.join(60)
    assert len(calls) == 1


def test_a_fetch_leaves_room_on_the_disk(machines):
    """Collectors refuse events when it is full."""
    machines.fill(0, 1)
    free_bytes = shutil.disk_usage(machines.folder).free
    full = machines.restarted(disk_free_bytes_min=2 * free_bytes)
    with pytest.raises(LakeUnavailable, match="make room"):
        full.event_ids()
    assert full.copies() == []
    snapshot = full.lake.load(EVENTS)
    with pytest.raises(LakeUnavailable, match="make room"):
        snapshot.fetch_keys(snapshot.files)  # their sizes are unknown


def test_on_a_full_disk_copies_that_were_not_used_lately_make_room(machines, monkeypatch):
    """For a question, and before collectors refuse events."""
    machines.fill(0, 3)
    full = machines.restarted(disk_free_bytes_min=1_000)
    snapshot = full.lake.load(EVENTS)
    *old, new = snapshot.files
    snapshot.fetch(old)
    for number, path in enumerate(old):
        os.utime(path, (number, number))
    disk_bytes = sum(map(snapshot.size_bytes, snapshot.files)) + 2_000 - 1

    def usage(_: Path) -> SimpleNamespace:
        copies = full.layout.lake.glob("events/event_date=*/*")
        return SimpleNamespace(free=disk_bytes - sum(path.stat().st_size for path in copies))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    snapshot.fetch([new])
    assert len(full.copies()) == 2
    assert Path(new).exists()
    disk_bytes -= snapshot.size_bytes(old[0])
    full.lake.newest()
    assert full.copies() == [Path(new).name]


def test_a_fetch_ends_after_a_while(machines, monkeypatch):
    """A question must not wait for the copies of a whole lake."""
    machines.fill(0, 1)
    monkeypatch.setattr(file_cache, "FETCH_TIMEOUT_S", 0.0)
    with pytest.raises(LakeUnavailable, match="try again"):
        machines.two.event_ids()


def test_a_machine_that_only_compacts_forgets_replaced_files(machines, monkeypatch):
    """By a command that cron runs; its erased rows must go too."""
    machines.fill(0, 1)
    machines.shop.seal(event(1))
    machines.one.compact()
    assert len(machines.one.copies()) == 2
    plan = MaintenancePlan(merge_files_min=2)
    maintenance.run(machines.two.data, plan, time.time(), machines.two.lake)
    monkeypatch.setattr(file_cache, "KEPT_FOR_S", -1.0)  # as if it were over
    machines.one.compact()
    assert machines.one.copies() == []


def test_no_key_file_is_asked_of_a_table_without_keys(machines, monkeypatch):
    """A query would ask for each of them again and again."""
    machines.shop.seal(event(0), rejection(1))
    machines.one.compact()
    download, asked = machines.objects.download, set()

    def noted(key: str, path: Path) -> None:
        asked.add(key)
        download(key, path)

    monkeypatch.setattr(machines.objects, "download", noted)
    machines.two.lake.versions_here()
    assert [key.partition("/")[0] for key in asked if key.endswith(".keys")] == ["events"]


def test_copies_of_replaced_files_go_although_nothing_is_committed(machines, monkeypatch):
    """Those that a question had used shortly before they were replaced."""
    machines.fill(0, 1)
    machines.shop.seal(event(1))
    machines.one.compact()
    assert len(machines.two.event_ids()) == 2
    plan = MaintenancePlan(merge_files_min=2)
    maintenance.run(machines.one.data, plan, time.time(), machines.one.lake)
    assert len(machines.two.event_ids()) == 2
    assert len(machines.two.copies()) == 3
    monkeypatch.setattr(file_cache, "KEPT_FOR_S", -1.0)  # as if it were over
    machines.two.lake.load(EVENTS)
    assert len(machines.two.copies()) == 1


@pytest.mark.parametrize("was_made", [False, True])
def test_the_files_of_a_refused_commit_are_deleted(machines, monkeypatch, was_made):
    """But not if it was made: its response was lost, and it was repeated."""
    machines.fill(0, 1)
    machines.shop.seal(event(DAY_S))
    create, left = DeltaTable.create_write_transaction, [was_made]

    def refused(table: DeltaTable, actions: list[AddAction], *rest: Any, **named: Any) -> None:
        if not left:
            return create(table, actions, *rest, **named)
        if left.pop():
            create(table, actions, *rest, **named)
        raise CommitFailedError("a concurrent transaction")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", refused)
    machines.one.compact()
    assert machines.two.event_ids() == ["e0", "e86400"]
    names = machines.objects.names()
    assert len([name for name in names if name.startswith("events/") and "/_d" not in name]) == 4


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_leaves_no_more_copies_than_may_be(machines, monkeypatch, fails):
    """Also where no report is asked, as in a command that cron runs."""
    machines.fill(0, 2)
    monkeypatch.setattr(file_cache, "KEPT_FOR_S", -1.0)
    job = machines.restarted(cache_bytes_max=1)
    with suppress(OSError), job.lake.locked():
        job.lake.load(EVENTS).fetch()
        assert len(job.copies()) == 2
        if fails:
            raise OSError("no space")
    assert job.copies() == []


def test_an_erasure_reads_one_file_after_another(machines, monkeypatch):
    """So it ends although the copies that it has read are evicted meanwhile."""
    machines.fill(0, 3)
    monkeypatch.setattr(downloads, "_PARALLEL", 1)
    download = machines.objects.download

    def alone(key: str, path: Path) -> None:
        if key.endswith(".parquet") and key.startswith("events/event_date"):
            for copy in machines.two.layout.lake.glob("events/event_date=*/*.parquet"):
                copy.unlink()
        download(key, path)

    monkeypatch.setattr(machines.objects, "download", alone)
    two, subject = machines.two, Subject(TenantNames(99))
    erased = erasure.run(two.data, subject, ONCE, time.time(), two.log, lake=two.lake)
    assert (erased.rows, erased.remaining) == (0, [])


@pytest.mark.parametrize(
    "name", ["foo.checkpoint.parquet", "\u00b2.json", f"sub/{1:020}.checkpoint.parquet", "1.json"]
)
def test_other_names_beside_a_log_are_not_copied(machines, name):
    """Somebody put them there; nothing fails of it, then or after they are deleted."""
    machines.fill(0, 1)
    machines.objects.put(f"events/_delta_log/{name}", b"")
    assert machines.two.event_ids() == machines.restarted().event_ids() == ["e0"]
    machines.objects.delete([f"events/_delta_log/{name}"])
    assert machines.restarted().event_ids() == ["e0"]


def test_a_copy_of_another_size_is_fetched_again(machines):
    """The object had been damaged, and was mended."""
    machines.fill(0, 1)
    (name,) = machines.one.copies()
    (key,) = (key for key in machines.objects.names() if key.endswith(name))
    whole = machines.objects.get(key)
    machines.objects.put(key, b"")
    with pytest.raises(LakeError):
        machines.two.event_ids()
    machines.objects.put(key, whole)
    assert machines.two.event_ids() == ["e0"]
