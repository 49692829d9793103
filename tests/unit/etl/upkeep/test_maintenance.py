"""Maintenance: fewer and larger files, old ones gone, and never another number."""

import os
import time
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from examples import share
from log_tools import DAY_S, Killed, Shop, event, killed_before, rejection

from etl import durable
from etl.lake import commits, delta_log, parquet, rewrite
from etl.lake.commits import Change
from etl.lake.errors import VersionNotFound
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import RETAINED_FROM, ListedFile, Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS, TABLES
from etl.upkeep import check, maintenance, merging, vacuum
from etl.upkeep.maintenance import MaintenancePlan

START_S = 1_795_407_000.0  # the day of log_tools.START
ALL = "SELECT * FROM events ORDER BY series, seq"
HOUR_S = 3600.0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A data folder that `fill` has filled."""
    shop = Shop(tmp_path_factory.mktemp("template") / "data")
    fill(shop, 8)
    return shop


@pytest.fixture
def filled(shop: Shop, template: Shop) -> Shop:
    """A copy of the template."""
    template.copy_to(shop)
    return shop


def fill(shop: Shop, count: int = 10, *, first_s: float = 0.0) -> None:
    """A commit of two events and a rejected payload for every segment."""
    for number in range(count):
        after_s = first_s + number
        shop.seal(event(after_s), event(after_s + 0.5, tenant_id=2), rejection(after_s))
        shop.compact()


def keep_up(shop: Shop, *, after_s: float = 0.0, **plan: int) -> maintenance.MaintenanceOutcome:
    return maintenance.run(shop.data, MaintenancePlan(**plan), START_S + after_s)


def files(shop: Shop) -> list[Path]:
    """Parquet files of the events, referenced or not."""
    return sorted(shop.layout.table("events").glob("event_date=*/*.parquet"))


def age(shop: Shop, hours: float) -> None:
    """Let the lake's log be as old as that."""
    then_s = time.time() - hours * HOUR_S
    for path in shop.layout.lake.glob("*/_delta_log/*"):
        os.utime(path, (then_s, then_s))


def test_small_files_become_one_sorted_one_and_no_number_changes(filled):
    """Of the day that is still written, once there are enough of them."""
    before = filled.query(ALL)
    outcome = keep_up(filled)
    assert (outcome.merged_files, outcome.written_files) == (16, 2)
    snapshot = Snapshot.load(filled.layout.table("events"), EVENTS)
    assert len(snapshot.files) == 1
    assert filled.query(ALL) == before
    order = filled.query(f"SELECT tenant_id, received_at FROM {snapshot.relation()}")
    assert order == sorted(order)
    assert check.run(filled.data).problems == []


def test_few_small_files_of_today_are_left_and_of_a_past_day_are_not(shop):
    """A file of today is rewritten a bounded number of times; a past day ends with one."""
    fill(shop, 3)
    assert keep_up(shop).merged_files == 0
    assert keep_up(shop, after_s=DAY_S).merged_files == 6
    assert keep_up(shop, after_s=DAY_S).merged_files == 0


def test_files_of_the_target_size_are_left_as_they_are(filled):
    """They are not small."""
    assert keep_up(filled, file_bytes_target=1).merged_files == 0


def test_groups_stay_within_the_target_and_in_their_partition():
    """Every group is of one day, and no larger than a file should be."""
    listed = [
        ListedFile(f"{day}/{number}", day, 40, 1)
        for day in ("2026-01-01", "2026-01-02")
        for number in range(5)
    ]
    groups = list(merging.groups(listed, "2026-01-03", bytes_target=100, files_min=8))
    assert [len(group) for group in groups] == [2, 2, 2, 2]
    assert all(len({file.event_date for file in group}) == 1 for group in groups)


def test_a_merge_commit_says_that_no_data_changed(filled):
    """So that a reader who follows the table's changes sees none."""
    keep_up(filled)
    actions = DeltaTable(filled.layout.table("events")).get_add_actions(flatten=True)
    assert len(actions["path"]) == 1
    entries = [path.read_text() for path in filled.layout.table("events").glob("_delta_log/*.json")]
    (merge,) = [text for text in entries if '"remove"' in text]
    assert '"dataChange":true' not in merge


def test_compaction_goes_on_after_a_merge_with_the_same_watermarks(filled):
    """Nothing is compacted again, and a duplicate of a merged event is still one."""
    filled.seal(event(20, dedupe_key="id:1"))
    filled.compact()
    keep_up(filled, merge_files_min=2)
    filled.seal(event(21, dedupe_key="id:1"))
    outcome = filled.compact()
    assert (outcome.rows, outcome.duplicates) == (0, 1)


def test_partitions_past_their_retention_are_dropped(shop):
    """Whole days of receipt; what is kept stays as it is, and `check` misses nothing."""
    fill(shop, 2)
    fill(shop, 2, first_s=3 * DAY_S)
    assert keep_up(shop, after_s=3 * DAY_S).dropped_partitions == 0
    outcome = keep_up(shop, after_s=3 * DAY_S, retention_days=2)
    assert (outcome.dropped_partitions, outcome.dropped_rows) == (2, 6)
    assert len(shop.query(ALL)) == 4
    assert check.run(shop.data).problems == []


@pytest.mark.parametrize(
    ("retention_days", "rejected_retention_days", "events", "refused"),
    [(0, 2, 4, 2), (0, 0, 4, 4), (2, 0, 2, 2), (2, 30, 2, 2), (30, 2, 4, 2)],
)
def test_rejected_payloads_have_a_retention_of_their_own(
    shop, retention_days, rejected_retention_days, events, refused
):
    """Nothing else goes by it, and the shorter of the two counts; `check` misses nothing."""
    for first_s in (0.0, 3 * DAY_S):
        fill(shop, 1, first_s=first_s)
        shop.seal(rejection(first_s + 1))
        shop.compact()
    days = {
        "retention_days": retention_days,
        "rejected_retention_days": rejected_retention_days,
    }
    outcome = keep_up(shop, after_s=3 * DAY_S, **days)
    assert outcome.dropped_rows == 4 - events + 4 - refused
    assert len(shop.query(ALL)) == events
    assert len(shop.query("SELECT * FROM rejected")) == refused
    assert check.run(shop.data).problems == []


def test_the_newest_rejected_payloads_go_when_events_came_long_after_them(shop):
    """Their age is measured by the newest receipt of all tables."""
    shop.seal(rejection(0.0))
    shop.seal(event(40 * DAY_S))
    shop.compact()
    assert keep_up(shop, after_s=0.0, rejected_retention_days=30).dropped_rows == 0
    assert keep_up(shop, after_s=40 * DAY_S, rejected_retention_days=30).dropped_rows == 1


def retained_from(shop: Shop) -> str | None:
    return Snapshot.load(shop.layout.table("events"), EVENTS).property(RETAINED_FROM)


@pytest.mark.parametrize("ahead_days", [3, 40, 4000])
def test_a_clock_that_is_ahead_drops_nothing_that_is_within_the_retention(shop, ahead_days):
    """Today is at most a day after the newest receipt, whatever the clock says."""
    fill(shop, 1, first_s=-DAY_S)
    fill(shop, 2)
    before = shop.query(ALL)
    outcome = keep_up(shop, after_s=ahead_days * DAY_S, retention_days=2)
    assert outcome.dropped_rows == 0
    assert shop.query(ALL) == before
    assert keep_up(shop, after_s=ahead_days * DAY_S, retention_days=1).dropped_partitions == 2
    assert shop.query(ALL) == before[-4:]
    assert check.run(shop.data).problems == []


def test_a_clock_that_is_ahead_keeps_the_versions(filled):
    """They are as old as the newest commit says; so are the files of the log."""
    old = Snapshot.load(filled.layout.table("events"), EVENTS).version
    before = filled.query(ALL, version=old)
    ahead_s = time.time() - START_S + 400 * DAY_S
    for _ in range(2):
        outcome = keep_up(filled, after_s=ahead_s, retention_days=30)
        assert (outcome.deleted_log_entries, outcome.deleted_files) == (0, 0)
    assert filled.query(ALL, version=old) == before


def test_a_vacuum_by_a_clock_that_is_ahead_keeps_the_files_of_versions(shop, monkeypatch):
    """The retention is prolonged by what the clock is ahead of the newest commit."""
    fill(shop, 1)
    asked_h: list[int] = []

    def noted(_store, *, retention_hours: int) -> int:
        asked_h.append(retention_hours)
        return 0

    monkeypatch.setattr(vacuum, "delete_files", noted)
    age(shop, hours=100)
    keep_up(shop, after_s=time.time() - START_S, snapshot_retention_hours=24)
    assert set(asked_h) == {24 + 99}


def test_what_was_dropped_stays_dropped_when_the_clock_goes_back(shop):
    """`check` compares with the log from the same day on."""
    fill(shop, 1)
    fill(shop, 1, first_s=5 * DAY_S)
    keep_up(shop, after_s=5 * DAY_S, retention_days=2)
    assert retained_from(shop) == "2026-11-26"
    keep_up(shop, after_s=DAY_S, retention_days=2)
    assert retained_from(shop) == "2026-11-26"


def test_an_older_version_answers_until_it_is_past_its_retention(filled):
    """Then it is said that there is none, and its files are gone."""
    old = Snapshot.load(filled.layout.table("events"), EVENTS).version
    before = filled.query(ALL, version=old)
    keep_up(filled)
    assert filled.query(ALL, version=old) == before
    for path in files(filled):
        os.utime(path, (0, 0))
    vacuum.delete_files(LocalTable(filled.layout.table("events"), EVENTS), retention_hours=0)
    assert len(files(filled)) == 1
    assert filled.query(ALL) == before
    with pytest.raises(VersionNotFound):
        filled.query(ALL, version=old)


def test_the_lakes_log_is_cleaned_behind_a_checkpoint(filled):
    """Days older than the retention go; the table, its other rows and watermarks stay."""
    before = filled.query(ALL)
    age(filled, hours=30)
    now_s = time.time() - START_S
    assert keep_up(filled, after_s=now_s).deleted_log_entries > 8
    assert filled.query(ALL) == before
    assert filled.compact().segments == 0
    log = filled.layout.table("events") / delta_log.FOLDER
    assert len(list(log.iterdir())) < 12


def test_entries_within_the_retention_stay(filled):
    """However many there are."""
    assert keep_up(filled, after_s=time.time() - START_S).deleted_log_entries == 0


def test_a_checkpoint_is_durable_before_entries_go(shop, monkeypatch):
    """Else a power cut could leave neither."""
    fill(shop, 2)
    age(shop, hours=30)
    events: list[str] = []
    sync, delete = durable.fsync_path, delta_log.delete_before

    def synced(path: Path) -> None:
        events.append(path.name)
        sync(path)

    def deleted(table: Path, version: int) -> int:
        events.append("delete")
        return delete(table, version)

    monkeypatch.setattr(durable, "fsync_path", synced)
    monkeypatch.setattr(delta_log, "delete_before", deleted)
    keep_up(shop, after_s=time.time() - START_S)
    before = events[: events.index("delete")]
    assert any(".checkpoint" in name for name in before)
    assert {"_last_checkpoint", delta_log.FOLDER} <= set(before)


@pytest.mark.parametrize("step", share(range(1, 14)))
def test_a_run_killed_at_any_step_changes_no_number_and_is_finished_by_the_next(filled, step):
    """Before each of the steps that change something."""
    before = filled.query(ALL)
    calls = [
        (parquet, "write_file"),
        (durable, "fsync_path"),
        (commits, "replace"),
        (commits, "set_properties"),
    ]
    try:
        with killed_before(step, calls):
            keep_up(filled)
    except Killed:
        pass
    assert filled.query(ALL) == before
    keep_up(filled)
    assert filled.query(ALL) == before
    assert len(Snapshot.load(filled.layout.table("events"), EVENTS).files) == 1
    assert check.run(filled.data).problems == []


def test_of_two_that_replace_the_same_files_one_is_refused(shop):
    """delta-rs would let both remove them, and the rows would be there twice."""
    fill(shop, 3)
    folder = shop.layout.table("events")
    first, second = Snapshot.load(folder, EVENTS), Snapshot.load(folder, EVENTS)
    files = first.listed()
    with duckdb.connect() as con:
        merged = rewrite.run(con, first, Rewrite(files[:2]))
    change = Change([merged], files[:2], is_rewrite=True, books={})
    commits.replace(first, change)
    with pytest.raises(CommitFailedError):
        commits.replace(second, change)


def test_a_file_that_does_not_hold_its_rows_is_never_committed(filled, monkeypatch):
    """The run fails, and the old files stay what is read."""
    before = filled.query(ALL)
    fingerprints = iter(range(100))
    monkeypatch.setattr(rewrite, "_fingerprint", lambda con, relation: next(fingerprints))
    with pytest.raises(rewrite.RewriteMismatch):
        keep_up(filled)
    assert filled.query(ALL) == before


def test_after_a_conflict_no_file_of_the_other_process_is_deleted(filled, monkeypatch):
    """Its commit is newer than the snapshot of the run, and so are its files."""
    before, run = filled.query(ALL), rewrite.run

    def overtaken(con, snapshot, chosen):
        monkeypatch.setattr(rewrite, "run", run)
        other = Snapshot.load(snapshot.store.folder, snapshot.table)
        replaced = chosen.files[:2]
        written = run(con, other, Rewrite(replaced))
        commits.replace(other, Change([written], replaced, is_rewrite=True, books={}))
        return run(con, snapshot, chosen)

    monkeypatch.setattr(rewrite, "run", overtaken)
    plan = MaintenancePlan(snapshot_retention_hours=0)
    outcome = maintenance.run(filled.data, plan, time.time() + HOUR_S)
    assert [conflict.partition(":")[0] for conflict in outcome.conflicts] == ["events"]
    assert filled.query(ALL) == before


def test_a_lost_vacuum_ends_no_run(filled, monkeypatch):
    """A lake in a bucket makes a commit to find unused files, which another warehouse may win."""

    def lose(self, *, retention_hours):
        raise CommitFailedError("Concurrent transaction failed.")

    monkeypatch.setattr(LocalTable, "unused", lose)
    outcome = keep_up(filled)
    assert [conflict.partition(":")[0] for conflict in outcome.conflicts] == [
        table.name for table in TABLES
    ]
