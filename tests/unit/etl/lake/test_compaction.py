"""Compaction: sealed segments become rows of the lake exactly once, whatever happens meanwhile."""

import json
import logging
import multiprocessing
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from examples import STRIDE
from log_tools import DAY_S, Killed, Shop, at, event, flip, killed_before, record, rejection

from etl import durable
from etl.lake import commits, compaction, delta_log, expiry, parquet, staging
from etl.lake.compaction import CompactionConflict, CompactionPlan, CompactionResult
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot
from etl.lake.store import LocalLake
from etl.lake.tables import EVENTS, TABLES
from etl.log import recovery, segments
from etl.log.backlog import Stopped
from etl.log.segments import Sealed
from etl.log.store import LocalLog
from etl.upkeep import check

OTHER = "h-w0-bb"
NO_GRACE = CompactionPlan(segment_grace_s=0.0)
LATER_S = 60.0


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def delta(shop: Shop, name: str = "events") -> DeltaTable:
    return DeltaTable(shop.layout.table(name))


def committed(shop: Shop, name: str = "events") -> list[list[dict]]:
    paths = sorted((shop.layout.table(name) / "_delta_log").glob("*.json"))
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in paths]


def adds(shop: Shop, name: str = "events") -> list[dict]:
    return [
        action["add"] for actions in committed(shop, name) for action in actions if "add" in action
    ]


def leftovers(shop: Shop) -> list[Path]:
    return list(shop.layout.lake.rglob("*.tmp"))


# -- what a run does --------------------------------------------------------------------------


def test_every_field_arrives_as_it_was_stored(shop):
    """Decimals exactly, times to the microsecond, metadata as JSON text, missing fields as null."""
    fields = {
        "event_id": "0193b2d0-7b1c-7d43-9a55-0c6f2f6a1e11",
        "tenant_id": 2**53 - 1,
        "endpoint": "conversion",
        "type": "purchase",
        "product_id": -1,
        "transaction_id": 'T-"1"\\\u2028é',
        "currency": "HNL",
        "occurred_at": "0001-01-01T00:00:00.000001Z",
        "visitor_id": "9f86d081884c7d65",
        "bot": True,
        "dedupe_key": "tx:T",
    }
    exact = event(0.123456, **fields, value=None)[:-1] + b',"value":99999999999.9999}'
    metadata = {"a": {"b": [1, 2.5, "\u0000\n", None]}, "_c": "{", "kind": "rejected"}
    shop.seal(exact, event(1, metadata=metadata))
    shop.compact()
    full, sparse = delta(shop).to_pyarrow_table().sort_by("seq").to_pylist()
    assert {name: full[name] for name in fields if name != "occurred_at"} == {
        name: fields[name] for name in fields if name != "occurred_at"
    }
    assert full["value"] == Decimal("99999999999.9999")
    assert full["occurred_at"].isoformat() == "0001-01-01T00:00:00.000001+00:00"
    assert full["received_at"].isoformat() == "2026-11-23T04:10:00.123456+00:00"
    assert (full["series"], full["segment"], full["seq"]) == ("h-w0-aa", 1, 1)
    assert json.loads(sparse["metadata"]) == metadata
    missing = ("product_id", "transaction_id", "value", "currency", "visitor_id", "bot")
    assert [sparse[name] for name in missing] == [None] * len(missing)


def test_a_run_tells_what_it_did(shop):
    """Segments, lines, rows, duplicates, rejections; and the version that holds them."""
    shop.seal(event(0, dedupe_key="id:a"), event(1, dedupe_key="id:a"), rejection(2))
    shop.seal(event(3), series=OTHER)
    assert shop.compact() == CompactionResult(
        segments=2, lines=4, rows=2, duplicates=1, rejected=1, version=1
    )
    assert shop.compact() == CompactionResult(version=1)
    assert shop.query("SELECT count(*) FROM rejected") == [(1,)]


def test_watermarks_and_books_are_in_the_commit(shop):
    """Lines = rows + duplicates, for each table; each series stands at its last segment."""
    shop.seal(event(0, dedupe_key="id:a"), rejection(1))
    shop.seal(event(2, dedupe_key="id:a"))
    shop.seal(event(3), series=OTHER)
    shop.compact()
    written = (("events", 3, 2, 1), ("rejected", 1, 1, 0), ("duplicates", 1, 1, 0))
    for name, lines, rows, duplicates in written:
        table = delta(shop, name)
        assert table.transaction_version("h-w0-aa") == 2
        assert table.transaction_version(OTHER) == 1
        ((version, books),) = delta_log.books(shop.layout.table(name))
        assert version == table.version() == 1
        assert (books["lines"], books["rows"], books["duplicates"]) == (lines, rows, duplicates)


def test_an_empty_folder_makes_an_empty_lake(shop):
    """Tables at version 0, without rows."""
    assert shop.compact() == CompactionResult(version=0)
    assert delta(shop).to_pyarrow_table().num_rows == 0
    assert delta(shop, "rejected").version() == 0


def test_a_table_without_rows_moves_its_watermark_too(shop):
    """Else its segments would be read again for ever, and never deleted."""
    shop.seal(rejection(0))
    assert shop.compact().rejected == 1
    assert adds(shop) == []
    assert delta(shop).transaction_version("h-w0-aa") == 1


def test_rows_go_to_the_day_of_their_receipt(shop):
    """In UTC; one file a day, whatever time the events say they occurred."""
    to_midnight = DAY_S - 4 * 3600 - 600
    shop.seal(
        event(to_midnight - 1e-6, occurred_at=at(-DAY_S)),
        event(to_midnight),
        event(to_midnight + 1, occurred_at=at(0)),
        event(to_midnight + DAY_S),
    )
    shop.compact()
    days = [(add["partitionValues"]["event_date"], json.loads(add["stats"])) for add in adds(shop)]
    assert [(day, stats["numRecords"]) for day, stats in days] == [
        ("2026-11-23", 1),
        ("2026-11-24", 2),
        ("2026-11-25", 1),
    ]
    rows = delta(shop).to_pyarrow_table()
    assert set(rows["event_date"].to_pylist()) == {date(2026, 11, day) for day in (23, 24, 25)}
    assert shop.query(
        "SELECT event_date::VARCHAR, count(*) FROM events GROUP BY ALL ORDER BY 1"
    ) == [
        ("2026-11-23", 1),
        ("2026-11-24", 2),
        ("2026-11-25", 1),
    ]


def test_the_log_holds_statistics_of_each_file(shop):
    """Other engines skip files by them: rows, and the bounds of what is filtered by."""
    shop.seal(event(5, tenant_id=9), event(3.5, tenant_id=-4, occurred_at=at(-1)), rejection(7))
    shop.compact()
    (added,) = adds(shop)
    stats = json.loads(added["stats"])
    assert stats["numRecords"] == 2
    assert stats["minValues"] == {
        "tenant_id": -4,
        "received_at": "2026-11-23T04:10:03.500000Z",
        "occurred_at": "2026-11-23T04:09:59.000000Z",
        "seq": 1,
    }
    assert stats["maxValues"]["tenant_id"] == 9
    assert stats["maxValues"]["received_at"] == "2026-11-23T04:10:05.000000Z"
    assert added["size"] == (shop.layout.table("events") / added["path"]).stat().st_size
    (other,) = adds(shop, "rejected")
    assert json.loads(other["stats"])["minValues"] == {"received_at": at(7), "seq": 3}


def test_files_are_sorted_by_tenant_and_receipt(shop):
    """Also across series, so that a tenant's rows lie together."""
    for series, offset in (("h-w0-aa", 0.0), (OTHER, 0.5)):
        shop.seal(*(event(n + offset, tenant_id=n % 3) for n in range(30)), series=series)
    shop.compact()
    (added,) = adds(shop)
    table = pq.read_table(shop.layout.table("events") / added["path"], partitioning=None)
    order = [(row["tenant_id"], row["received_at"]) for row in table.to_pylist()]
    assert len(order) == 60
    assert order == sorted(order)
    metadata = pq.read_metadata(shop.layout.table("events") / added["path"])
    assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("name", ["plain", "with space", "José's", "a#b"])
def test_the_data_folder_may_have_any_name(tmp_path, name):
    """A home folder with a space or an accent is read back like any other."""
    shop = Shop(tmp_path / name)
    shop.seal(event(0, dedupe_key="id:a"))
    shop.compact()
    shop.seal(event(1, dedupe_key="id:a"), event(2))
    shop.compact()
    assert shop.event_ids() == ["e0", "e2"]


# -- several passes ---------------------------------------------------------------------------


def moved(actions: list[dict]) -> dict[str, int]:
    """The Delta transactions of a commit."""
    return {one["txn"]["appId"]: one["txn"]["version"] for one in actions if "txn" in one}


def test_a_backlog_takes_several_passes(shop):
    """Each within its budget of bytes, first received first, and always at least one line."""
    for series, offset in (("h-w0-aa", 0), (OTHER, 1)):
        for number in range(3):
            sealed = shop.seal(event(2 * number + offset), series=series)
    size = sealed.path.stat().st_size
    outcome = shop.compact(CompactionPlan(bytes_max=2 * size))
    assert (outcome.segments, outcome.rows, outcome.version) == (6, 6, 3)
    assert [moved(actions) for actions in committed(shop)[1:]] == [
        {
            "h-w0-aa": number,
            "lines:h-w0-aa": number,
            OTHER: number,
            f"lines:{OTHER}": number,
            "beaconlog-compaction": number,
        }
        for number in (1, 2, 3)
    ]
    shop.seal(event(10))
    shop.seal(event(11))
    assert shop.compact(CompactionPlan(bytes_max=1)).version == 5


def test_a_series_is_taken_in_order_whatever_its_times(shop):
    """Receipts that go back, which no clock of ours gives, do not make a gap."""
    for number in range(3):
        shop.seal(event(-number))
    assert shop.compact(CompactionPlan(bytes_max=1)).rows == 3
    assert delta(shop).transaction_version("h-w0-aa") == 3


# -- what is refused --------------------------------------------------------------------------


def resealed(sealed: Sealed, data: bytes) -> Sealed:
    """The segment with other bytes, under a name that fits them."""
    sealed.path.unlink()
    name = segments.sealed_name(sealed.number, data.count(b"\n"), zlib.crc32(data))
    path = sealed.path.with_name(name)
    path.write_bytes(data)
    return Sealed(sealed.series, sealed.number, data.count(b"\n"), zlib.crc32(data), path)


def missing(shop: Shop) -> None:
    shop.seal(event(1))
    sealed = shop.seal(event(2))
    shop.seal(event(3))
    sealed.path.unlink()


def damaged(shop: Shop) -> None:
    shop.seal(event(1))
    sealed = shop.seal(event(2))
    shop.seal(event(3))
    flip(sealed.path, 60)


def truncated(shop: Shop) -> None:
    shop.seal(event(1))
    sealed = shop.seal(event(2), event(2.5))
    shop.seal(event(3))
    sealed.path.write_bytes(sealed.path.read_bytes().splitlines(keepends=True)[0])


def of_unknown_kind(shop: Shop) -> None:
    shop.seal(event(1))
    shop.seal(event(2), record(kind="dream", received_at=at(2)))
    shop.seal(event(3))


def unreadable(shop: Shop) -> None:
    shop.seal(event(1))
    shop.seal(event(2), event(2.5, tenant_id="many"))
    shop.seal(event(3))


def no_json(shop: Shop) -> None:
    shop.seal(event(1))
    sealed = shop.seal(event(2))
    shop.seal(event(3))
    resealed(sealed, b"no json\n" + sealed.path.read_bytes())


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (missing, "segment is missing"),
        (damaged, "content is not what the name says"),
        (truncated, "content is not what the name says"),
        (of_unknown_kind, "1 of 2 lines are of no known kind"),
        (unreadable, "a line cannot be read"),
        (no_json, "a line cannot be read"),
    ],
)
def test_a_bad_segment_stops_its_series_alone(shop, caplog, harm, reason):
    """Up to it the series is taken; the others are taken whole. It is reported each time."""
    for series in (OTHER, "h-w0-cc"):
        shop.seal(event(10), event(11), series=series)
    harm(shop)
    for rows in (5, 0):
        caplog.clear()
        outcome = shop.compact()
        assert outcome.stopped == [Stopped("h-w0-aa", 2, reason)]
        assert outcome.rows == rows
        assert [entry.fields["segment"] for entry in caplog.records if entry.levelno == 40] == [2]
    assert delta(shop).transaction_version("h-w0-aa") == 1
    assert len(shop.event_ids()) == 5
    assert shop.query("FROM stopped") == [("h-w0-aa", 2, reason)]


def test_a_segment_with_too_few_lines_is_not_taken_in_part(shop):
    """As it would not be taken whole."""
    sealed = shop.seal(event(0), event(2))
    sealed.path.rename(sealed.path.with_name(segments.sealed_name(1, 3, sealed.crc)))
    with shop.written(OTHER, closed_s=1):
        outcome = shop.compact(CompactionPlan(wait_s=0))
    assert outcome.stopped == [Stopped("h-w0-aa", 1, "it has 2 lines, its name says 3")]
    assert outcome.rows == 0


def test_passes_parse_each_line_once(shop, monkeypatch):
    """Also the lines of a segment that several passes share; and nothing is left of their parts."""
    parsed, select_lines = [], staging._select_lines
    monkeypatch.setattr(
        staging, "_select_lines", lambda sources: parsed.extend(sources) or select_lines(sources)
    )
    shop.seal(event(0), event(2), event(4))
    shop.seal(event(1), event(3), event(5), series=OTHER)
    assert shop.compact(CompactionPlan(bytes_max=1)).rows == 6
    assert len(parsed) > 2
    assert sum(source.lines for source in parsed) == 6
    assert not shop.layout.excerpts.exists()


def test_any_number_of_series_may_be_stopped(shop):
    """Refusing a segment is no conflict: the rest is compacted all the same."""
    for number in range(8):
        shop.seal(record(kind="dream", received_at=at(0)), series=f"h-w{number}-aa")
    shop.seal(event(0), series="h-w9-aa")
    outcome = shop.compact()
    assert len(outcome.stopped) == 8
    assert outcome.rows == 1


def test_a_gap_that_is_filled_again_is_no_gap(shop, tmp_path):
    """A segment that was restored is taken, and what follows it."""
    shop.seal(event(1))
    away = shop.seal(event(2))
    shop.seal(event(3))
    away.path.rename(tmp_path / "away")
    shop.compact()
    (tmp_path / "away").rename(away.path)
    outcome = shop.compact()
    assert (outcome.rows, outcome.stopped) == (2, [])
    assert shop.event_ids() == ["e1", "e2", "e3"]


# -- conflicts --------------------------------------------------------------------------------


def test_a_conflict_starts_over_from_a_fresh_snapshot(shop, monkeypatch):
    """Nothing is counted twice by it."""
    shop.seal(event(0), rejection(1))
    refusals = [CommitFailedError("another"), CommitFailedError("another")]
    commit = commits.commit

    def contested(snapshot, *arguments):
        if refusals:
            raise refusals.pop()
        return commit(snapshot, *arguments)

    monkeypatch.setattr(commits, "commit", contested)
    outcome = shop.compact()
    assert (outcome.segments, outcome.lines, outcome.rows, outcome.rejected) == (1, 2, 1, 1)
    assert shop.event_ids() == ["e0"]
    assert len(adds(shop)) == 1


def test_a_conflict_on_the_second_table_keeps_the_first(shop, monkeypatch):
    """The events are committed once; their watermark says so."""
    shop.seal(event(0), rejection(1))
    refusals = [CommitFailedError("another")]
    commit = commits.commit

    def contested(snapshot, *arguments):
        if snapshot.table.name == "rejected" and refusals:
            raise refusals.pop()
        return commit(snapshot, *arguments)

    monkeypatch.setattr(commits, "commit", contested)
    outcome = shop.compact()
    assert (outcome.segments, outcome.lines, outcome.rows, outcome.rejected) == (1, 2, 1, 1)
    assert len(committed(shop)) == 2
    assert (len(adds(shop)), len(adds(shop, "rejected"))) == (1, 1)


def test_a_real_committer_of_the_same_segments_is_seen(shop, monkeypatch):
    """Delta refuses the second commit of one app id; then there is nothing left to do."""
    shop.seal(event(0))
    write = parquet.write
    rivals = ["events"]

    def overtaken(con, folder, table, *named):
        files = write(con, folder, table, *named)
        if table is EVENTS and rivals:
            rivals.pop()
            snapshot = Snapshot.load(folder, table)
            marks = {"h-w0-aa": 1, "lines:h-w0-aa": 1}
            commits.commit(snapshot, files, marks, {"lines": 1})
        return files

    monkeypatch.setattr(parquet, "write", overtaken)
    outcome = shop.compact()
    assert (outcome.rows, outcome.segments) == (0, 1)
    assert shop.event_ids() == ["e0"]
    assert len(committed(shop)) == 2


def test_a_commit_that_is_no_compaction_is_no_conflict(shop, monkeypatch):
    """It moves no watermark of ours: it comes between, and both count."""
    shop.seal(event(0))
    commit = commits.commit

    def beside(snapshot, *arguments):
        other = DeltaTable(snapshot.store.folder)
        properties = CommitProperties(app_transactions=[Transaction("elsewhere", 7)])
        other.create_write_transaction(
            [], "append", EVENTS.arrow_schema, ["event_date"], commit_properties=properties
        )
        return commit(snapshot, *arguments)

    monkeypatch.setattr(commits, "commit", beside)
    assert shop.compact().rows == 1
    assert delta(shop).transaction_version("elsewhere") == 7
    assert shop.event_ids() == ["e0"]


def test_endless_conflicts_end_the_run(shop, monkeypatch):
    """Nothing is lost; the next run goes on."""
    shop.seal(event(0))

    def refused(*arguments):
        raise CommitFailedError("another")

    with monkeypatch.context() as patch:
        patch.setattr(commits, "commit", refused)
        with pytest.raises(CompactionConflict):
            shop.compact()
    assert shop.compact().rows == 1


@pytest.mark.parametrize(
    "error", [duckdb.OutOfMemoryException("no memory"), duckdb.IOException("no disk")]
)
def test_a_failure_of_duckdb_is_an_error_of_the_lake(shop, monkeypatch, error):
    """Callers need not know DuckDB; the next run goes on."""
    shop.seal(event(0))

    def failing(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write", failing)
        with pytest.raises(LakeError):
            shop.compact()
    assert shop.compact().rows == 1


def test_a_file_with_too_few_rows_is_never_committed(shop, monkeypatch):
    """The rows that DuckDB wrote are counted before the file is committed."""
    shop.seal(event(0))
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "count", lambda con, relation: len(relation))
        with pytest.raises(LakeError):
            shop.compact()
    assert len(committed(shop)) == 1
    assert shop.compact().rows == 1
    assert leftovers(shop) == []


# -- killed -----------------------------------------------------------------------------------

# Every call that changes what is on the disk, and the one after DuckDB wrote a file. What a kill
# leaves between two of them is the same, whichever reads or syncs it was spared.
CALLS = [
    (Path, "mkdir"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (DeltaTable, "create"),
    (DeltaTable, "create_write_transaction"),
    (DeltaTable, "update_incremental"),
    (recovery, "recover_orphans"),
    (staging, "stage_lines"),
    (parquet, "_check_rows"),
    (expiry, "delete_compacted"),
]


def killed_runs(shop: Shop, template: Path, plan: CompactionPlan, after_s: float) -> Iterator[int]:
    """A run from the same folder for each step, killed before that step."""
    step = 1
    while True:
        shutil.rmtree(shop.data)
        shutil.copytree(template, shop.data)
        try:
            with killed_before(step, CALLS):
                shop.compact(plan, after_s=after_s)
        except Killed:
            yield step
            step += STRIDE
        else:
            return


@pytest.mark.default_python
def test_a_run_killed_at_any_step_is_finished_by_the_next(shop, tmp_path):
    """Nothing is lost, nothing counted twice, nothing left over; the books balance."""
    shop.seal(event(0, dedupe_key="id:a"), rejection(1))
    shop.compact()
    shop.seal(event(2, dedupe_key="id:a"), event(DAY_S / 2), event(DAY_S), rejection(4))
    writer = shop.writer(OTHER)
    writer.commit([event(5)])
    os.close(writer._fd)
    shutil.copytree(shop.data, tmp_path / "template")
    steps = 0
    for step in killed_runs(shop, tmp_path / "template", NO_GRACE, LATER_S):
        before = shop.event_ids()
        shop.compact(NO_GRACE, after_s=LATER_S)
        ids = ["e0", "e43200", "e5", "e86400"]
        assert sorted(delta(shop).to_pyarrow_table()["event_id"].to_pylist()) == ids, step
        assert set(before) in ({"e0", "e43200", "e86400"}, set(ids)), step
        assert delta(shop, "rejected").to_pyarrow_table().num_rows == 2, step
        assert leftovers(shop) == [], step
        lines = [books["lines"] for _, books in delta_log.books(shop.layout.table("events"))]
        assert sum(lines) == 5, step
        steps = step
    assert steps > 15


def test_a_first_run_killed_at_any_step_is_finished_by_the_next(shop, tmp_path):
    """Also when there is no lake yet."""
    shop.seal(event(0), rejection(1))
    shutil.copytree(shop.data, tmp_path / "template")
    for step in killed_runs(shop, tmp_path / "template", NO_GRACE, LATER_S):
        shop.compact(NO_GRACE, after_s=LATER_S)
        assert delta(shop).to_pyarrow_table()["event_id"].to_pylist() == ["e0"], step
        assert delta(shop, "rejected").to_pyarrow_table().num_rows == 1, step


def test_what_a_killed_process_committed_is_synced_before_it_is_relied_upon(shop, monkeypatch):
    """It may have died between the commit and its sync; segments are deleted only after one."""
    for number in range(2):
        shop.seal(event(number))
    with killed_before(1, [(delta_log, "sync")]), pytest.raises(Killed):
        shop.compact()
    synced, fsync_path = [], durable.fsync_path

    def noted(path):
        fsync_path(path)
        synced.append(path)

    monkeypatch.setattr(durable, "fsync_path", noted)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: synced.append(path))
    shop.compact(NO_GRACE, after_s=LATER_S)
    log_folder = shop.layout.table("events") / "_delta_log"
    deleted = synced.index(shop.sealed()[0].path)
    assert log_folder / "00000000000000000001.json" in synced[:deleted]
    assert log_folder in synced[:deleted]


def test_everything_is_synced_before_it_is_committed(shop, monkeypatch):
    """The folder's name, the file, its key file, their names; then the commit, and its sync."""
    shop.seal(event(0))
    steps, fsync_path = [], durable.fsync_path
    commit, link, replace = DeltaTable.create_write_transaction, os.link, Path.replace

    def noted(path):
        fsync_path(path)
        steps.append(("sync", path.relative_to(shop.layout.lake).as_posix()))

    def committed(self, files, *arguments, **named):
        steps.append(("commit", [file.path for file in files]))
        commit(self, files, *arguments, **named)

    def replaced(self, target):
        steps.append(("replace", target.name))
        return replace(self, target)

    def linked(source, target):
        steps.append(("link", target.name))
        link(source, target)

    shop.compact()
    shop.seal(event(DAY_S))
    monkeypatch.setattr(durable, "fsync_path", noted)
    monkeypatch.setattr(DeltaTable, "create_write_transaction", committed)
    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(Path, "replace", replaced)
    shop.compact()
    added = adds(shop)[-1]["path"]
    (at_commit,) = [i for i, step in enumerate(steps) if step == ("commit", [added])]
    day = added.partition("/")[0]
    before = [what for what in steps[:at_commit] if what[0] != "sync" or "rejected" not in what[1]]
    name = added.partition("/")[2]
    keys = name.removesuffix("parquet") + "keys"
    folder_made, (_, written), linked_, (_, keys_written), *named = before[-6:]
    assert folder_made == ("sync", "events")
    assert written.startswith(f"events/{added.removesuffix('g4.parquet')}")
    assert linked_ == ("link", name)
    assert keys_written.startswith(f"events/{day}/{keys}.")
    assert written.endswith(".tmp")
    assert keys_written.endswith(".tmp")
    assert named == [("replace", keys), ("sync", f"events/{day}")]
    assert steps[at_commit + 1 : at_commit + 3] == [
        ("sync", "events/_delta_log/00000000000000000002.json"),
        ("sync", "events/_delta_log"),
    ]


def test_temporary_files_of_a_killed_run_are_swept(shop):
    """Whatever segments that run had taken."""
    shop.seal(event(0))
    shop.compact()
    partition = shop.layout.table("events") / "event_date=2026-11-23"
    (partition / "0123.parquet.tmp").write_bytes(b"half")
    shop.seal(event(1))
    shop.compact()
    assert leftovers(shop) == []
    assert shop.event_ids() == ["e0", "e1"]


def test_a_file_that_was_committed_is_never_replaced(shop, monkeypatch):
    """By one that races with its run, without the lock: it meets the name, then the conflict."""
    shop.seal(event(0))
    plan = CompactionPlan()
    commit, inodes = commits.commit, []

    def raced(snapshot, files, *rest):
        inodes.extend(file.path.stat().st_ino for file in files)
        if len(inodes) == 1:
            log, lake = LocalLog.of(shop.layout), LocalLake(shop.layout)
            compaction.run_with_lock(shop.layout, plan, 0.0, log, lake)
        commit(snapshot, files, *rest)

    monkeypatch.setattr(commits, "commit", raced)
    assert shop.compact(plan).rows == 0
    assert len(set(inodes)) == 1
    assert shop.event_ids() == ["e0"]
    assert leftovers(shop) == []


# -- deleting segments ------------------------------------------------------------------------


def numbers(shop: Shop, series: str = "h-w0-aa") -> list[int]:
    return [segment.number for segment in shop.sealed(series)]


def test_segments_are_deleted_after_the_grace_but_for_the_newest(shop):
    """The newest of a series stays while that is written."""
    for number in range(3):
        shop.seal(event(number))
    shop.seal(event(9), series=OTHER)
    plan = CompactionPlan(segment_grace_s=100.0)
    assert shop.compact(plan).deleted_segments == 0
    assert shop.compact(plan, after_s=90.0).deleted_segments == 0
    with shop.written(), shop.written(OTHER):
        assert shop.compact(plan, after_s=110.0).deleted_segments == 2
    assert (numbers(shop), numbers(shop, OTHER)) == ([3], [1])
    assert shop.event_ids() == ["e0", "e1", "e2", "e9"]
    assert shop.seal(event(5)).number == 4
    with shop.written():
        assert shop.compact(plan, after_s=110.0).rows == 1
    assert (numbers(shop), numbers(shop, OTHER)) == ([4], [])


def test_segments_younger_than_the_grace_stay(shop):
    """The age is that of the commit that holds them, in every table."""
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1))
    shop.seal(event(2))
    shop.compact()
    for name in ("events", "rejected", "duplicates"):
        first = shop.layout.table(name) / "_delta_log" / "00000000000000000001.json"
        os.utime(first, (1000, 1000))
        os.utime(first.with_name("00000000000000000000.json"), (900, 900))
    assert shop.compact().deleted_segments == 1
    assert numbers(shop) == [2, 3]


def test_what_one_table_lacks_is_not_deleted(shop, monkeypatch):
    """A segment is done with when all tables have passed it."""
    for number in range(2):
        shop.seal(event(number), rejection(number))
    commit = commits.commit

    def only_events(snapshot, *arguments):
        if snapshot.table.name == "rejected":
            raise LakeError("not now")
        return commit(snapshot, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(commits, "commit", only_events)
        for _ in range(2):
            with pytest.raises(LakeError):
                shop.compact(NO_GRACE, after_s=LATER_S)
    assert numbers(shop) == [1, 2]
    assert shop.compact(NO_GRACE, after_s=LATER_S).rejected == 2
    assert len(shop.event_ids()) == 2


def test_duplicates_of_a_pass_that_died_before_telling_them_are_found(shop, monkeypatch):
    """From the lines that are not among the events; before the next compaction and after it."""
    shop.seal(event(0, dedupe_key="id:a"))
    shop.compact()
    shop.seal(event(1, dedupe_key="id:a"), event(2), event(3, dedupe_key="id:b"))
    shop.seal(event(4, dedupe_key="id:b"), series=OTHER)
    commit = commits.commit

    def dying(snapshot, *arguments):
        if snapshot.table.name == "duplicates":
            raise LakeError("not now")
        return commit(snapshot, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(commits, "commit", dying)
        with pytest.raises(LakeError):
            shop.compact()
    shop.seal(event(5, dedupe_key="id:b"), event(6))
    found = {("h-w0-aa", 2), ("h-w0-aa", 3), (OTHER, 1)}
    told = "SELECT series, segment FROM duplicates"
    assert sorted(shop.query(told)) == sorted(found)
    shop.compact()
    assert sorted(shop.query(told)) == sorted(found)
    assert shop.event_ids() == ["e0", "e2", "e3", "e6"]
    assert check.run(shop.data).problems == []


# -- two at once ------------------------------------------------------------------------------


def compact_often(data: str, barrier, outcomes) -> None:
    for _ in range(3):
        barrier.wait(60)
        outcomes.put(compaction.run(Path(data), CompactionPlan(bytes_max=400), time.time()).rows)


def test_two_compactors_take_turns(shop):
    """Each segment is compacted by one of them."""
    for number in range(6):
        shop.seal(event(number), series=f"h-w{number % 3}-aa")
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(2), context.Queue()
    arguments = (str(shop.data), barrier, outcomes)
    processes = [context.Process(target=compact_often, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    try:
        rows = [outcomes.get(timeout=60) for _ in range(6)]
        for process in processes:
            process.join(60)
    finally:
        for process in processes:
            process.kill()
    assert sum(rows) == 6
    assert shop.event_ids() == [f"e{number}" for number in range(6)]


def test_a_compaction_waits_for_the_one_under_way(shop, monkeypatch):
    """The lock is held from before the snapshot is read until after the last deletion."""
    shop.seal(event(0))
    held = []

    def noted(name, function):
        def call(*arguments, **named):
            descriptor = durable.try_lock(shop.layout.lake_lock)
            held.append((name, descriptor is None))
            if descriptor is not None:
                os.close(descriptor)
            return function(*arguments, **named)

        return call

    for owner, name in (
        (commits, "open_or_create"),
        (commits, "commit"),
        (expiry, "delete_compacted"),
    ):
        monkeypatch.setattr(owner, name, noted(name, getattr(owner, name)))
    shop.compact()
    assert {name for name, _ in held} == {"open_or_create", "commit", "delete_compacted"}
    assert all(locked for _, locked in held)


def test_the_lake_serves_deltas_other_readers(shop):
    """Arrow reads the same rows, types and partitions through the Delta log alone."""
    shop.seal(event(0, dedupe_key="id:a"), event(1, dedupe_key="id:a"), rejection(2))
    shop.compact()
    for table in TABLES:
        read = delta(shop, table.name).to_pyarrow_table()
        assert read.num_rows == 1
        assert set(read.column_names) == set(table.stored)
    assert logging.getLogger("etl.lake.compaction").isEnabledFor(logging.ERROR)
