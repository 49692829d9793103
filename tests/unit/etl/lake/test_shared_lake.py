"""The lake in object storage: warehouses with empty data folders show and change one lake."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from engine_tools import InlineWorkers, rows, seal_round, watermarks
from log_tools import DAY_S, START, Shop, event, rejection
from object_tools import FolderObjects
from shared_lake_tools import ONCE, Warehouse, bucket_of, pair

from etl import lake_copies, reports
from etl.directory.tenant_reference import TenantNames
from etl.lake import table_store
from etl.lake.compaction import CompactionPlan
from etl.lake.engines import opening
from etl.lake.errors import LakeError, LakeUnavailable, VersionNotFound
from etl.lake.opening import LakePlace, open_lake
from etl.lake.shared import file_cache
from etl.lake.shared.table import Bucket
from etl.lake.store import LocalLake
from etl.lake.tables import DUPLICATES, EVENTS
from etl.layout import DataFolderError
from etl.log.store import LocalLog
from etl.object_store import overlap
from etl.upkeep import backup, channels, check, erasure, maintenance
from etl.upkeep.erasure import Subject
from etl.upkeep.maintenance import MaintenancePlan

ALL = "SELECT * EXCLUDE (event_date), event_date FROM events ORDER BY series, seq"


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return bucket_of(FolderObjects(tmp_path / "bucket"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The log that all warehouses read."""
    return Shop(tmp_path / "log")


@pytest.fixture
def warehouses(tmp_path: Path, bucket: Bucket, shop: Shop) -> tuple[Warehouse, Warehouse]:
    return pair(tmp_path, bucket, shop)


def fill(shop: Shop) -> None:
    """Events of two days with a repeat, and a rejected payload."""
    shop.seal(event(0, event_id="a", dedupe_key="id:a"), event(1), rejection(2))
    shop.seal(event(3, event_id="a", dedupe_key="id:a"), event(DAY_S + 4))


def test_a_lake_in_a_bucket_holds_the_same_rows(shop, warehouses, tmp_path):
    """As one in a folder, made from the same segments; and another warehouse shows them."""
    fill(shop)
    one, two = warehouses
    assert (one.event_ids(), two.event_ids()) == (["a", "e1", "e86404"],) * 2
    assert one.compact().duplicates == 1
    shown = two.query(ALL)
    assert len(shown) == 3
    local = Shop(tmp_path / "local")
    fill(local)
    local.compact()
    assert local.query(ALL) == shown == one.query(ALL)


def test_each_pass_continues_where_another_machine_ended(shop, warehouses):
    """A repeat of what that one has committed is a duplicate."""
    one, two = warehouses
    shop.seal(event(0, event_id="a", dedupe_key="id:a"))
    one.compact()
    shop.seal(event(5, event_id="b", dedupe_key="id:a"), event(6))
    assert two.compact().duplicates == 1
    assert one.compact().lines == 0
    assert one.event_ids() == two.event_ids() == ["a", "e6"]


def test_a_data_folder_that_was_lost_is_no_loss(shop, warehouses, bucket):
    """The copies are made again."""
    fill(shop)
    one, _ = warehouses
    one.compact()
    before = one.query(ALL)
    shutil.rmtree(one.layout.lake / "events")
    again = Warehouse(one.data, bucket, one.log)
    assert again.query(ALL) == before


def test_a_question_fetches_the_files_of_its_period(shop, warehouses):
    """Later and earlier ones stay in the bucket; a report takes the period from its parameters."""
    for day in range(4):
        shop.seal(event(day * DAY_S))
    one, two = warehouses
    one.compact()
    asked = {"from": "2026-11-25", "to": "2026-11-25"}
    counted = reports.answer(two.view(), reports.Question("timeseries", asked)).rows
    assert sum(row["events"] for row in counted) == 1
    assert len(two.copies()) == 2  # its own, and the day before, by whose clock it may be received
    assert len(two.event_ids()) == 4
    assert len(two.copies()) == 4


def test_key_files_are_asked_without_their_parquet_files(shop, warehouses):
    """Only a hit fetches the Parquet file, to settle it."""
    shop.seal(event(0, dedupe_key="id:a"))
    shop.seal(event(5, dedupe_key="id:b"))
    one, two = warehouses
    one.compact(CompactionPlan(wait_s=0.0, segment_grace_s=0.0, bytes_max=1))
    shop.seal(event(9, dedupe_key="id:c"))
    assert two.compact().rows == 1
    assert (len(two.copies("events/*/*.keys")), len(two.copies())) == (3, 1)
    shop.seal(event(10, dedupe_key="id:a"))
    assert two.compact().duplicates == 1
    assert len(two.copies()) == 2


def test_copies_that_were_not_used_lately_make_room(shop, warehouses, monkeypatch):
    """Those of the last quarter of an hour stay, because a question may read them."""
    for day in range(3):
        shop.seal(event(day * DAY_S))
    one, two = warehouses
    one.compact()
    small = partial(Warehouse, two.data, two.bucket, two.log, cache_bytes_max=1)
    assert len(small().event_ids()) == 3
    assert len(small().event_ids()) == len(two.copies()) == 3
    monkeypatch.setattr(file_cache, "KEPT_FOR_S", -1.0)
    small().lake.newest()
    assert two.copies() == []
    assert len(two.event_ids()) == 3


@pytest.mark.default_python
def test_maintenance_and_erasure_reach_every_machine(shop, warehouses):
    """Merged files replace the others; what is erased is in no object."""
    one, two = warehouses
    for number in range(4):
        shop.seal(event(number, tenant_id=number % 2 + 1), rejection(number))
        (one, two)[number % 2].compact()
    before = one.query(ALL)
    plan = MaintenancePlan(merge_files_min=2, snapshot_retention_hours=0)
    merged = maintenance.run(two.data, plan, time.time(), two.lake)
    assert (merged.merged_files, merged.written_files, merged.deleted_files) == (8, 2, 8)
    assert one.query(ALL) == before
    subject = Subject(TenantNames(2))
    erased = erasure.run(one.data, subject, ONCE, time.time(), one.log, lake=one.lake)
    assert (erased.rows, erased.remaining) == (2, [])
    assert two.query("SELECT DISTINCT tenant_id FROM events") == [(1,)]
    assert check.run(two.data, two.log, two.lake).problems == []


def test_new_rules_of_channels_reach_every_machine(shop, warehouses):
    """The files with their channels replace the others in the bucket."""
    one, two = warehouses
    shop.seal(event(0, referrer="wa.me", channel="referral", channel_rules=0))
    one.compact()
    done = channels.run(two.data, ONCE, time.time(), two.log, lake=two.lake)
    assert (done.events, done.files) == (1, 1)
    assert one.query("SELECT channel, channel_rules FROM events") == [("whatsapp", 1)]
    assert check.run(one.data, one.log, one.lake).problems == []


def test_a_key_file_that_is_missing_is_made_again_in_the_bucket(shop, warehouses):
    """By maintenance; until then its Parquet file is read."""
    shop.seal(event(0, dedupe_key="id:a"))
    one, two = warehouses
    one.compact()
    objects = one.bucket.objects
    (keys,) = [item.key for item in objects.listed() if item.key.endswith(".keys")]
    objects.delete([keys])
    shop.seal(event(5, dedupe_key="id:a"))
    assert two.query("SELECT count(*) FROM duplicates") == [(1,)]
    made = maintenance.run(two.data, MaintenancePlan(), time.time(), two.lake)
    assert made.written_key_files == 1
    assert keys in [item.key for item in objects.listed()]


def test_a_pinned_version_and_a_backup_are_whole(shop, warehouses, tmp_path):
    """Also on a machine that had no copy."""
    one, two = warehouses
    for number in range(2):
        shop.seal(event(number))
        one.compact()
    pin = one.lake.load(EVENTS).version - 1
    assert two.query("SELECT event_id FROM events", version=pin) == [("e0",)]
    backup.run(two.data, tmp_path / "copy", two.log, two.lake)
    assert Shop(tmp_path / "copy").event_ids() == ["e0", "e1"]
    assert check.run(tmp_path / "copy").problems == []
    plan = MaintenancePlan(merge_files_min=2, snapshot_retention_hours=0)
    maintenance.run(one.data, plan, time.time(), one.lake)
    with pytest.raises(VersionNotFound):
        two.query("FROM events", version=pin)


def test_a_lake_of_a_newer_version_is_refused(shop, warehouses):
    """Before anything is read or written."""
    one, two = warehouses
    shop.seal(event(0))
    one.compact()
    one.bucket.objects.put("format.json", b'{"format": 99}')
    for refused in (two.event_ids, two.compact, one.compact):
        with pytest.raises(LakeError, match="upgrade"):
            refused()


def test_without_the_bucket_nothing_is_answered(shop, tmp_path):
    """A report would lack events: it is refused at once, with the cause."""
    objects = FolderObjects(tmp_path / "bucket")
    one = Warehouse(tmp_path / "one", bucket_of(objects), LocalLog.of(shop.layout))
    shop.seal(event(0))
    one.compact()
    with objects.outage():
        for refused in (one.event_ids, one.compact):
            with pytest.raises(LakeUnavailable, match="the server does not answer"):
                refused()
    assert one.event_ids() == ["e0"]


def test_a_query_of_an_administrator_finds_its_files(shop, warehouses):
    """Its process cannot fetch; it reads the versions that were fetched for it."""
    one, two = warehouses
    shop.seal(event(0))
    one.compact()
    versions = two.lake.versions_here()
    shop.seal(event(1))
    one.compact()
    two.lake.table(EVENTS).refresh()
    apart = LocalLake(two.layout, versions)
    assert [Path(file).exists() for file in apart.load(EVENTS).files] == [True]
    assert versions["events"] == apart.load(EVENTS).version == 1


@pytest.mark.default_python
def test_machines_and_engines_in_turn_make_the_tables_of_one(shop, warehouses, tmp_path):
    """From a history with repeats across series, passes, machines and weeks."""
    one, two = warehouses
    local = Shop(tmp_path / "local")
    for number in range(3):
        for each in (shop, local):
            seal_round(each, random.Random(number), number)
        local.compact()
        plan = CompactionPlan(wait_s=0.0, segment_grace_s=1e9)
        by_workers = opening.by_workers(plan, InlineWorkers(2))
        (one, two)[number % 2].compact((plan, by_workers)[number % 2])
    for snapshot in two.lake.newest():
        snapshot.fetch()
    assert rows(Shop(two.data)) == rows(local)
    assert watermarks(Shop(two.data)) == watermarks(local)
    counts = "SELECT count(*), count(DISTINCT tenant_id), sum(value) FROM events"
    assert one.query(counts) == two.query(counts) == local.query(counts)


def test_a_task_has_only_the_files_fetched_that_may_hold_its_keys(shop, warehouses):
    """The others of the lake stay in the bucket."""
    one, two = warehouses
    shop.seal(event(0, dedupe_key="id:a"))
    one.compact()
    shop.seal(event(1, dedupe_key="id:b"))
    one.compact()
    shop.seal(event(2, dedupe_key="id:b"), event(3, dedupe_key="id:c"))
    outcome = two.compact(opening.by_workers(CompactionPlan(segment_grace_s=1e9), InlineWorkers(2)))
    assert (outcome.rows, outcome.duplicates) == (1, 1)
    assert len(two.copies()) == 2, "that of b, and its own"


def test_a_file_that_no_fetch_brings_ends_the_compaction(shop, warehouses):
    """It is named; nothing is committed."""
    one, two = warehouses
    shop.seal(event(0, dedupe_key="id:a"))
    one.compact()
    (lost,) = one.copies()
    Path(two.bucket.url, "events/event_date=2026-11-23", lost).unlink()
    shop.seal(event(1, dedupe_key="id:a"))
    with pytest.raises(LakeError, match=f"{lost} is missing"):
        two.compact(opening.by_workers(CompactionPlan(segment_grace_s=1e9), InlineWorkers(2)))


@pytest.mark.parametrize(
    ("log_url", "lake_url", "expected"),
    [
        ("s3://b/log", "s3://b/lake", False),
        ("s3://b/log", "s3://b/log2", False),
        ("s3://b/log", "s3://b/log/", True),
        ("s3://b/log", "s3://b/log/lake", True),
        ("s3://b", "s3://b/lake", True),
        ("", "s3://b/lake", False),
        ("", "", False),
    ],
)
def test_log_and_lake_have_places_of_their_own(log_url, lake_url, expected):
    """A listing of one would show the objects of the other."""
    assert overlap(log_url, lake_url) == expected
    assert overlap(lake_url, log_url) == expected


def test_copies_and_a_lake_of_its_own_are_never_confused(shop, warehouses, bucket, monkeypatch):
    """By a setting that was changed, or a lake that was not moved."""
    one, two = warehouses
    shop.seal(event(0))
    one.compact()
    for url, message in (
        ("", "holds copies of"),
        ("s3://other/lake", "holds copies of"),
    ):
        with pytest.raises(DataFolderError, match=message):
            open_lake(one.layout, LakePlace(url))
    lake_copies.require(one.layout, bucket.url + "/")
    own = Shop(two.data)
    own.seal(event(1))
    own.compact()
    monkeypatch.setattr(file_cache, "KEPT_FOR_S", -1.0)
    two = Warehouse(two.data, bucket, two.log, cache_bytes_max=1)
    for refused in (two.event_ids, two.compact):
        with pytest.raises(LakeError, match="holds a lake of its own"):
            refused()
    assert own.event_ids() == ["e1"], "nothing of it is evicted"


def test_a_wrong_url_is_corrected_before_there_is_a_table(tmp_path):
    """Nothing was copied from there, so nothing is confused."""
    layout = Shop(tmp_path / "data").layout
    layout.prepare()
    lake_copies.mark(layout, "s3://wrong/lake")
    lake_copies.mark(layout, "s3://right/lake")
    lake_copies.require(layout, "s3://right/lake/")
    lake_copies.require(layout, "")
    assert not layout.lake_copy_of.exists()


def test_a_question_that_finds_nothing_new_lists_each_log_once(shop, tmp_path, monkeypatch):
    """And gets no object."""
    objects = FolderObjects(tmp_path / "bucket")
    one = Warehouse(tmp_path / "one", bucket_of(objects), LocalLog.of(shop.layout))
    shop.seal(event(0))
    one.compact()
    one.event_ids()
    calls: list[str] = []
    for name in ("listed", "download", "get", "size_bytes"):
        call = getattr(objects, name)
        monkeypatch.setattr(objects, name, partial(noted, calls, name, call))
    assert one.event_ids() == ["e0"]
    assert calls == ["listed"] * 3


def noted(calls: list[str], name: str, call: Callable[..., object], *arguments: object) -> object:
    calls.append(name)
    return call(*arguments)


def test_a_log_that_was_cleaned_far_ahead_is_copied_whole(shop, warehouses):
    """Of a machine that was off, or suspended, for longer than entries are kept."""
    one, two = warehouses
    shop.seal(event(0))
    one.compact()
    assert two.event_ids() == ["e0"]
    for number in range(1, 4):
        shop.seal(event(number))
        one.compact()
    newest = one.lake.load(EVENTS).version
    one.lake.table(EVENTS).checkpoint(newest)
    assert one.lake.table(EVENTS).delete_entries_before(newest) == newest
    assert two.event_ids() == ["e0", "e1", "e2", "e3"]
    entries = sorted(path.name for path in (two.layout.lake / "events/_delta_log").glob("0*"))
    assert entries == [f"{newest:020}.checkpoint.parquet", f"{newest:020}.json"]


def test_old_days_and_new_columns_reach_the_bucket(shop, warehouses, bucket):
    """A table of an earlier version gains its columns; retention drops whole days."""
    old = replace(DUPLICATES, fields=dict(list(DUPLICATES.fields.items())[:7]), gained=())
    table_store.create(f"{bucket.url}/duplicates", old)
    one, two = warehouses
    for day in range(3):
        shop.seal(event(day * DAY_S, dedupe_key="tx:a"))
        one.compact()
    assert two.query("SELECT count(*), count(transaction_id) FROM duplicates") == [(2, 0)]
    plan = MaintenancePlan(retention_days=1, snapshot_retention_hours=0)
    dropped = maintenance.run(two.data, plan, START.timestamp() + 2 * DAY_S, two.lake)
    assert dropped.dropped_partitions == 1
    assert one.event_ids() == []
    assert one.query("SELECT count(*) FROM duplicates") == [(2,)]


def test_a_question_marks_its_files_as_used_and_not_as_changed(shop, warehouses):
    """DuckDB would read their footers again for each question."""
    shop.seal(event(0))
    one, _ = warehouses
    one.compact()
    (path,) = one.layout.lake.glob("events/event_date=*/*.parquet")
    os.utime(path, (1.0, 2.0))
    assert one.event_ids() == ["e0"]
    assert path.stat().st_mtime == 2.0
    assert path.stat().st_atime > 2.0
