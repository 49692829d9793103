"""Warehouses of one lake overtake each other: one is suspended, or two commit at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from log_tools import DAY_S, Shop, event
from object_tools import FolderObjects
from shared_lake_tools import ONCE, Warehouse, bucket_of, pair

from etl.directory.tenant_reference import TenantNames
from etl.lake import commits, parquet, table_store
from etl.lake.commits import Change
from etl.lake.errors import LakeTaken
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import name_of
from etl.lake.tables import EVENTS, Table
from etl.log.store import LocalLog
from etl.upkeep import check, erasure, maintenance
from etl.upkeep.erasure import EraseRefused, Subject, from_lake
from etl.upkeep.maintenance import MaintenancePlan

MERGE = MaintenancePlan(merge_files_min=2)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The log that both warehouses read."""
    return Shop(tmp_path / "log")


@pytest.fixture
def warehouses(tmp_path: Path, shop: Shop) -> tuple[Warehouse, Warehouse]:
    return pair(tmp_path, bucket_of(FolderObjects(tmp_path / "bucket")), shop)


def suspend_after_the_first_put(
    monkeypatch: pytest.MonkeyPatch, one: Warehouse, meanwhile: Callable[[], object]
) -> None:
    """Let `one` stop once its first replacement is in the bucket, until `meanwhile` is over."""
    table, replace, waiting = one.lake.table(EVENTS), commits.replace, []
    refresh = table.refresh

    def replaced(snapshot: Snapshot, change: Change) -> int:
        monkeypatch.setattr(commits, "replace", replace)
        waiting.append(meanwhile)
        return replace(snapshot, change)

    def refreshed() -> None:
        if waiting:
            one.bucket.objects.delete(["compactor"])  # it has expired
            waiting.pop()()
        refresh()

    monkeypatch.setattr(commits, "replace", replaced)
    monkeypatch.setattr(table, "refresh", refreshed)


def test_a_suspended_compactor_commits_nothing_later(shop, warehouses, monkeypatch):
    """Another one has taken its place: its files are never part of the lake."""
    shop.seal(event(0))
    one, two = warehouses
    write, zombie = parquet.write, [one]

    def overtaken(*arguments):
        files = write(*arguments)
        if zombie:
            zombie.pop()
            two.bucket.objects.delete(["compactor"])  # it has expired
            assert two.compact().rows == 1
        return files

    monkeypatch.setattr(parquet, "write", overtaken)
    assert one.compact().rows == 0
    assert one.event_ids() == two.event_ids() == ["e0"]
    assert check.run(one.data, one.log, one.lake).problems == []


def test_of_two_compactions_of_other_series_the_second_starts_over(
    tmp_path, shop, warehouses, monkeypatch
):
    """An event that both took is stored once, though neither moves a watermark of the other's."""
    one, two = warehouses
    others = Shop(tmp_path / "others")
    others.seal(event(0, dedupe_key="id:a"), series="h-w1-bb")
    shop.seal(event(1, dedupe_key="id:a"), series="h-w0-aa")
    two.log = LocalLog.of(others.layout)
    write = parquet.write

    def overtaken(*arguments):
        monkeypatch.setattr(parquet, "write", write)
        files = write(*arguments)
        two.bucket.objects.delete(["compactor"])  # it has expired
        assert two.compact().rows == 1
        return files

    monkeypatch.setattr(parquet, "write", overtaken)
    outcome = one.compact()
    assert (outcome.rows, outcome.duplicates) == (0, 1)
    assert one.event_ids() == two.event_ids() == ["e0"]


def test_a_vacuum_lets_no_suspended_compactor_commit(shop, warehouses, monkeypatch):
    """Whose files it may have deleted: they would be missing in the lake."""
    shop.seal(event(0))
    one, two = warehouses
    one.lake.table(EVENTS).prepare()
    write = parquet.write

    def overtaken(*arguments):
        files = write(*arguments)
        monkeypatch.setattr(parquet, "write", write)
        two.lake.table(EVENTS).unused(retention_hours=0)
        return files

    monkeypatch.setattr(parquet, "write", overtaken)
    one.compact()
    versions = [path.name for path in (one.layout.lake / "events/_delta_log").glob("*.json")]
    assert len(versions) == 3  # the table, the vacuum's, and that of the second attempt
    assert two.event_ids() == ["e0"]


def test_a_vacuum_deletes_nothing_that_can_still_be_committed(shop, warehouses, monkeypatch):
    """Neither a file that is committed while it runs, nor one that a later pass uploads."""
    one, two = warehouses
    shop.seal(event(0))
    one.compact()
    fence, stray = commits.fence, "events/event_date=2026-11-23/stray.parquet"
    one.bucket.objects.put(stray, b"of a pass that has ended")

    def overtaken(snapshot):
        fenced = fence(snapshot)
        one.bucket.objects.put(stray.replace("stray", "late"), b"of a pass that began after it")
        return fenced

    monkeypatch.setattr(commits, "fence", overtaken)
    unused = table_store.unused_files

    def listed(*arguments, **named):
        found = unused(*arguments, **named)
        shop.seal(event(1))
        one.compact()
        (committed,) = set(one.lake.load(EVENTS).files) - before
        return [*found, name_of(committed)]  # as if it had been uploaded before

    before = set(one.lake.load(EVENTS).files)
    monkeypatch.setattr(table_store, "unused_files", listed)
    found = two.lake.table(EVENTS).unused(retention_hours=0)
    assert [name for name in found if name.endswith(".parquet")] == [stray.removeprefix("events/")]


def test_a_maintenance_that_was_suspended_merges_no_file_a_second_time(
    shop, warehouses, monkeypatch
):
    """Another one has merged its next group: the rows would be in two files."""
    one, two = warehouses
    for number in range(4):
        shop.seal(event(number // 2 * DAY_S + number))
        one.compact()
    before = one.event_ids()
    suspend_after_the_first_put(
        monkeypatch, one, lambda: maintenance.run(two.data, MERGE, time.time(), two.lake)
    )
    outcome = maintenance.run(one.data, MERGE, time.time(), one.lake)
    assert one.event_ids() == two.event_ids() == before
    assert (outcome.merged_files, len(outcome.conflicts)) == (2, 1)
    assert check.run(two.data, two.log, two.lake).problems == []


def test_an_erasure_that_was_suspended_brings_no_row_back(shop, warehouses, monkeypatch):
    """Another one has merged the files that it would rewrite next."""
    one, two = warehouses
    for number in range(3):
        shop.seal(event(number, tenant_id=1), event(number, event_id=f"x{number}", tenant_id=2))
        one.compact()
    suspend_after_the_first_put(
        monkeypatch, one, lambda: maintenance.run(two.data, MERGE, time.time(), two.lake)
    )

    def erase() -> erasure.ErasureOutcome:
        return erasure.run(
            one.data, Subject(TenantNames(2)), ONCE, time.time(), one.log, lake=one.lake
        )

    with pytest.raises(EraseRefused, match="run the erasure again"):
        erase()
    assert len(two.event_ids()) == len(set(two.event_ids())) == 5, "one file is erased"
    assert erase().remaining == []
    assert one.event_ids() == two.event_ids() == ["e0", "e1", "e2"]


def test_an_erasure_goes_on_after_a_commit_that_leaves_its_files(shop, warehouses, monkeypatch):
    """Such as that of a vacuum, while it reads a large file."""
    one, two = warehouses
    shop.seal(event(0, tenant_id=1), event(1, tenant_id=2))
    one.compact()
    count = from_lake.count

    def overtaken(con: duckdb.DuckDBPyConnection, source: str) -> int:
        monkeypatch.setattr(from_lake, "count", count)
        commits.fence(two.lake.load(EVENTS))
        return count(con, source)

    monkeypatch.setattr(from_lake, "count", overtaken)
    subject = Subject(TenantNames(2))
    erased = erasure.run(one.data, subject, ONCE, time.time(), one.log, lake=one.lake)
    assert (erased.rows, erased.remaining) == (1, [])
    assert two.event_ids() == ["e0"]


def test_a_vacuum_that_another_one_overtakes_is_a_conflict(shop, warehouses, monkeypatch):
    """It deletes nothing; the run goes on with the other tables."""
    one, two = warehouses
    shop.seal(event(0))
    one.compact()
    fence = commits.fence

    def overtaken(snapshot: Snapshot) -> int:
        monkeypatch.setattr(commits, "fence", fence)
        fence(two.lake.load(snapshot.table))
        return fence(snapshot)

    monkeypatch.setattr(commits, "fence", overtaken)
    outcome = maintenance.run(one.data, MERGE, time.time(), one.lake)
    assert [conflict.partition(":")[0] for conflict in outcome.conflicts] == ["events"]
    assert two.event_ids() == ["e0"]


def test_of_two_that_create_the_tables_both_go_on(shop, warehouses, monkeypatch):
    """The second uses those of the first."""
    one, _ = warehouses
    create = table_store.create

    def too_late(location: str, table: Table, options: dict[str, str]) -> None:
        create(location, table, options)
        raise CommitFailedError("version 0 exists")

    monkeypatch.setattr(table_store, "create", too_late)
    shop.seal(event(0))
    assert one.compact().rows == 1


def test_columns_that_another_one_adds_at_the_same_time_are_no_defect(warehouses, monkeypatch):
    """The job stands back, as for any other that changes the lake."""
    one, _ = warehouses
    table = one.lake.table(EVENTS)
    table.prepare()
    wanted = EVENTS.arrow_schema.append(pa.field("gained", pa.string()))
    monkeypatch.setattr(Table, "arrow_schema", wanted)

    @contextmanager
    def conflicting(*_: object) -> Iterator[DeltaTable]:
        raise CommitFailedError("another process has added them")
        yield

    monkeypatch.setattr(table, "committing", conflicting)
    with pytest.raises(LakeTaken, match="events is changed by another process"):
        commits.open_or_create(table)
