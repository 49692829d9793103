"""Verification: a clean folder is all right, and each kind of damage is found where it is."""

import json
import os
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from log_tools import DAY_S, START, Shop, event, flip, loaded_and_set_aside, record, rejection

from etl.lake import commits
from etl.lake.compaction import CompactionPlan
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS, TABLES
from etl.log import segments
from etl.log.recovery_record import Decision
from etl.upkeep import check, maintenance
from etl.upkeep.check import Findings, Problem
from etl.upkeep.maintenance import MaintenancePlan


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def filled(shop: Shop) -> Shop:
    """Compacted segments with duplicates, rejections and two days; and more in the log."""
    shop.seal(event(0, dedupe_key="id:a"), event(1, dedupe_key="id:a"), rejection(2))
    shop.seal(event(DAY_S), series="h-w1-aa")
    shop.compact()
    shop.seal(event(DAY_S + 1, dedupe_key="id:b"), rejection(DAY_S + 2))
    shop.compact()
    shop.seal(event(DAY_S + 3))
    return shop


def problems(shop: Shop) -> list[Problem]:
    found = check.run(shop.data)
    assert found.ok == (not found.problems)
    return found.problems


def files(shop: Shop, name: str = "events") -> list[Path]:
    table = DeltaTable(shop.layout.table(name))
    paths = table.get_add_actions(flatten=True)["path"].to_pylist()
    return [shop.layout.table(name) / path for path in sorted(paths)]


def committed_as(shop: Shop, path: Path, table: pa.Table) -> None:
    """Replace a file, and let the log tell its new size: only its content is another's."""
    size = path.stat().st_size
    pq.write_table(table, path)
    for commit in (shop.layout.table("events") / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        for line in lines:
            if (
                line.get("add", {}).get("path", "").endswith(path.name)
                and size == line["add"]["size"]
            ):
                line["add"]["size"] = path.stat().st_size
        commit.write_text("\n".join(map(json.dumps, lines)))


# -- clean ------------------------------------------------------------------------------------


def test_a_repeat_under_the_events_own_id_agrees(shop):
    """The lake stores such a key as NULL; its line is a row of `duplicates`."""
    shop.seal(*(event(second, event_id="x", dedupe_key="id:x") for second in range(2)))
    shop.compact()
    assert problems(shop) == []


def test_a_clean_folder_is_all_right(shop):
    """With what was verified, in numbers."""
    found = check.run(filled(shop).data)
    assert found.ok
    sizes = [
        item.path.stat().st_size for name in ("h-w0-aa", "h-w1-aa") for item in shop.sealed(name)
    ]
    assert found == Findings(
        series=2,
        segments=4,
        lines=7,
        bytes=sum(sizes),
        compared_lines=6,
        key_files=3,
        tables={
            "events": check.TableFacts(version=2, files=3, rows=3, commits=2),
            "rejected": check.TableFacts(version=2, files=2, rows=2, commits=2),
            "duplicates": check.TableFacts(version=2, files=1, rows=1, commits=2),
        },
    )
    assert "all is well" in list(check.describe(found))


@pytest.mark.parametrize("made", [False, True])
def test_nothing_at_all_is_all_right(shop, made):
    """No folder, or an empty one; and nothing is made by looking."""
    if made:
        shop.layout.prepare()
    assert problems(shop) == []
    assert shop.data.exists() == made


def test_a_log_that_was_never_compacted_is_all_right(shop):
    """Nothing can be compared yet."""
    shop.seal(event(0))
    found = check.run(shop.data)
    assert (found.ok, found.segments, found.compared_lines) == (True, 1, 0)


def test_a_folder_is_all_right_after_its_segments_were_deleted(shop):
    """Numbers then begin after those that the lake holds; nothing is compared that is gone."""
    filled(shop)
    with shop.written("h-w0-aa"):
        shop.compact(CompactionPlan(segment_grace_s=0.0), after_s=60.0)
    found = check.run(shop.data)
    assert (found.ok, found.segments) == (True, 1)
    shop.compact(CompactionPlan(segment_grace_s=0.0), after_s=60.0)
    found = check.run(shop.data)
    assert (found.ok, found.segments) == (True, 0)


def test_a_segment_being_written_is_no_problem(shop):
    """It is counted; so is what recovery set aside."""
    filled(shop)
    writer = shop.writer()
    writer.commit([event(DAY_S + 5)])
    (shop.folder() / "000000000001.broken").write_bytes(b"x")
    found = check.run(shop.data)
    assert (found.ok, found.open_segments, found.broken_files) == (True, 1, 1)
    os.close(writer._fd)


def test_old_segments_deleted_in_any_order_are_no_problem(shop):
    """A power cut may keep some deletions and lose others: the lake holds those lines."""
    for number in range(4):
        shop.seal(event(number))
    shop.compact()
    shop.sealed()[1].path.unlink()
    assert problems(shop) == []


def test_a_folder_with_any_name_is_all_right(tmp_path):
    """Its files are found."""
    assert problems(filled(Shop(tmp_path / "José's shop"))) == []


# -- the log ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compacted", [True, False])
def test_a_flip_in_a_segment_is_found_where_it_is(shop, compacted):
    """Series, segment and the byte where the damaged line begins."""
    filled(shop)
    sealed = shop.sealed()[0 if compacted else -1]
    lines = sealed.path.read_bytes().splitlines(keepends=True)
    flip(sealed.path, sum(map(len, lines[:-1])) + 60)
    (problem,) = problems(shop)
    assert problem.what == "segment-corrupt"
    where = (problem.series, problem.segment, problem.offset)
    assert where == ("h-w0-aa", sealed.number, sum(map(len, lines[:-1])))
    assert str(problem).startswith(f"segment-corrupt h-w0-aa/{sealed.number} at byte {where[2]}: ")


def test_a_truncated_segment_is_found(shop):
    """Also at the end of a line."""
    filled(shop)
    sealed = shop.sealed()[0]
    lines = sealed.path.read_bytes().splitlines(keepends=True)
    sealed.path.write_bytes(lines[0])
    (problem,) = problems(shop)
    assert (problem.what, problem.segment, problem.offset) == ("segment-corrupt", 1, len(lines[0]))


def test_a_missing_segment_is_found(shop):
    """Whether others follow it or the watermark says that it must be the next."""
    filled(shop)
    for number in range(3):
        shop.seal(event(2 * DAY_S + number))
    shop.sealed()[3].path.unlink()
    (problem,) = problems(shop)
    assert (problem.what, problem.series, problem.segment) == ("segment-missing", "h-w0-aa", 4)
    shop.sealed()[2].path.unlink()
    (problem,) = problems(shop)
    assert (problem.segment, problem.detail) == (3, "numbers 3 to 4 are missing")


def test_a_missing_first_segment_is_found(shop):
    """Before any compaction the first number is 1."""
    shop.seal(event(0))
    shop.seal(event(1))
    shop.sealed()[0].path.unlink()
    (problem,) = problems(shop)
    assert (problem.what, problem.segment) == ("segment-missing", 1)


def test_a_number_that_is_there_twice_is_found(shop):
    """Nobody could tell which is right."""
    filled(shop)
    sealed = shop.sealed()[2]
    data = sealed.path.read_bytes()
    copy = segments.sealed_name(3, sealed.lines, sealed.crc ^ 1)
    sealed.path.with_name(copy).write_bytes(data)
    assert {problem.what for problem in problems(shop)} == {"segment-corrupt", "segment-twice"}


def test_lines_that_recovery_could_not_save_are_told(shop):
    """The segment is readable, and something acked is not in it."""
    writer = shop.writer()
    for number in range(3):
        writer.commit([event(number)])
    os.close(writer._fd)
    path = shop.folder() / segments.open_name(1)
    flip(path, len(path.read_bytes().splitlines(keepends=True)[0]) + 60)
    assert shop.compact().rows == 2
    (problem,) = problems(shop)
    assert (problem.what, problem.segment) == ("segment-corrupt", 1)
    assert problem.detail == "lines 2 to 2 were lost to damage"
    found = check.run(shop.data)
    offset = found.recovered[0].corrupt_offsets[0]
    assert found.recovered == [Decision("h-w0-aa", 1, 2, 0, (offset,))]
    assert f"damage in acked data at bytes {offset}" in "".join(check.describe(found))


def test_an_unacked_tail_that_recovery_cut_off_is_told_and_is_no_problem(shop):
    """With its segment and its bytes."""
    writer = shop.writer()
    writer.commit([event(0)])
    os.close(writer._fd)
    with (shop.folder() / segments.open_name(1)).open("ab") as file:
        file.write(b'{"_c":"torn')
    shop.compact()
    found = check.run(shop.data)
    assert (found.ok, found.broken_files) == (True, 1)
    assert found.recovered == [Decision("h-w0-aa", 1, 1, 11, ())]
    told = "recovered h-w0-aa/1: 1 lines kept, 11 bytes of an unacked tail set aside"
    assert told in list(check.describe(found))


def test_lines_of_an_unknown_kind_are_found(shop):
    """Compaction stops there, and `check` does not pass it over either."""
    filled(shop)
    shop.seal(record(kind="dream", received_at="2026-11-25T00:00:00Z"))
    for table in TABLES:
        folder = shop.layout.table(table.name)
        commits.commit(Snapshot.load(folder, table), [], {"h-w0-aa": 4}, {})
    assert ("segment-refused", 4) in [(item.what, item.segment) for item in problems(shop)]


def test_a_segment_that_cannot_be_read_hides_no_loss_in_the_others(shop):
    """The segments that are read together with it are compared with the lake all the same."""
    filled(shop)
    DeltaTable(shop.layout.table("events")).delete("event_id = 'e86401'")
    shop.seal(record(kind="dream", received_at="2026-11-25T00:00:00Z"))
    for table in TABLES:
        folder = shop.layout.table(table.name)
        commits.commit(Snapshot.load(folder, table), [], {"h-w0-aa": 4}, {})
    places = [(item.what, item.segment) for item in problems(shop)]
    assert {("segment-refused", 4), ("line-not-in-lake", 2)} <= set(places)


# -- the lake ---------------------------------------------------------------------------------


def test_a_truncated_file_of_the_lake_is_found(shop):
    """It has no footer any more."""
    path = files(filled(shop))[0]
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = problems(shop)
    assert problem.what == "lake-file-unreadable"
    assert path.name in problem.detail


def test_a_missing_file_of_the_lake_is_found(shop):
    """By its name."""
    path = files(filled(shop), "rejected")[0]
    path.unlink()
    (problem,) = problems(shop)
    assert problem.what == "lake-file-unreadable"
    assert f"rejected/{path.parent.name}/{path.name}" in problem.detail


def test_a_file_of_other_rows_is_found(shop):
    """Fewer rows than were committed, and another size."""
    path = files(filled(shop))[0]
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 0), path)
    assert {problem.what for problem in problems(shop)} == {"lake-file-rows", "lake-file-size"}


def test_as_many_rows_of_something_else_are_found(shop):
    """Rows and size are right, so the comparison with the log tells: lost, and invented."""
    shop.seal(event(0), event(1))
    shop.compact()
    (path,) = files(shop)
    table = pq.read_table(path, partitioning=None)
    index = table.column_names.index("seq")
    committed_as(shop, path, table.set_column(index, "seq", pa.array([1, 77], pa.int64())))
    keys, lost, invented = problems(shop)
    assert keys.what == "key-file-damaged"
    assert lost == Problem("line-not-in-lake", "line 2 is not in events", "h-w0-aa", 1)
    assert (invented.what, invented.segment) == ("row-not-in-log", 1)
    assert "77" in invented.detail


def test_a_row_that_is_missing_in_the_lake_is_found(shop):
    """With the series, segment and number of its line."""
    filled(shop)
    DeltaTable(shop.layout.table("events")).delete("event_id = 'e86401'")
    (problem,) = problems(shop)
    assert (problem.what, problem.series, problem.segment) == ("line-not-in-lake", "h-w0-aa", 2)
    assert problem.detail == "line 4 is not in events"


def test_a_duplicate_whose_first_was_lost_is_found(shop):
    """A line may be missing only because another of its key is there."""
    filled(shop)
    DeltaTable(shop.layout.table("events")).delete("event_id = 'e0'")
    found = {(problem.what, problem.segment, problem.detail) for problem in problems(shop)}
    assert found == {
        ("line-not-in-lake", 1, "line 1 is not in events"),
        ("line-not-in-lake", 1, "line 2 is not in events"),
    }


def test_a_duplicate_that_is_not_told_is_found(shop):
    """Every line is a row."""
    filled(shop)
    DeltaTable(shop.layout.table("duplicates")).delete()
    (problem,) = problems(shop)
    assert (problem.what, problem.detail) == ("line-not-in-lake", "line 2 is not in events")


def test_a_line_that_is_an_event_and_a_duplicate_is_found(shop):
    """It would be counted as both."""
    filled(shop)
    table = DeltaTable(shop.layout.table("duplicates"))
    table.update(updates={"seq": "1"})
    found = {(problem.what, problem.detail) for problem in problems(shop)}
    assert found == {
        ("line-not-in-lake", "line 2 is not in events"),
        ("row-twice", "line 1 is more than one row of events"),
    }


def test_a_table_that_cannot_be_read_is_found(shop):
    """The others are verified all the same."""
    filled(shop)
    commit = shop.layout.table("rejected") / "_delta_log" / "00000000000000000001.json"
    commit.write_bytes(b"{")
    found = check.run(shop.data)
    assert [problem.what for problem in found.problems] == ["table-unreadable"]
    assert list(found.tables) == ["events", "duplicates"]


def test_pages_that_cannot_be_read_are_found_not_raised(shop):
    """Size, footer and rows may be right."""
    path = files(filled(shop))[0]
    data = bytearray(path.read_bytes())
    footer_bytes = int.from_bytes(data[-8:-4], "little") + 8
    data[4:-footer_bytes] = bytes(len(data) - footer_bytes - 4)
    path.write_bytes(data)
    assert problems(shop)


def test_books_that_do_not_balance_are_found(shop):
    """By the version of the commit."""
    filled(shop)
    snapshot = Snapshot.load(shop.layout.table("events"), EVENTS)
    books = {"lines": 5, "rows": 3, "duplicates": 1}
    commits.commit(snapshot, [], {}, books)
    (problem,) = problems(shop)
    assert problem.what == "books-unbalanced"
    assert problem.detail == "events version 3: 5 lines, 3 rows, 1 duplicates"


def test_problems_are_counted_for_people(shop):
    """The last line says how many there are."""
    filled(shop)
    flip(shop.sealed()[0].path, 60)
    assert list(check.describe(check.run(shop.data)))[-1] == "1 problems"


def test_checking_changes_nothing(shop):
    """It may run beside a live service."""
    filled(shop)
    flip(shop.sealed()[0].path, 60)

    def state() -> dict[Path, int]:
        return {
            path: zlib.crc32(path.read_bytes()) for path in shop.data.rglob("*") if path.is_file()
        }

    before = state()
    check.run(shop.data)
    assert state() == before


def test_an_entry_that_is_set_aside_meanwhile_is_no_damage(shop, monkeypatch):
    """A compaction that starts after a power cut does that; all is looked at again."""
    shop.seal(event(0), rejection(1))
    shop.compact()
    monkeypatch.setattr(Snapshot, "load", loaded_and_set_aside(shop))
    assert problems(shop) == []


def test_a_duplicate_outlives_the_event_that_retention_dropped(shop):
    """Its line has a row, and no event with its key: that is no loss."""
    for day in range(3):
        shop.seal(event(day * DAY_S, dedupe_key="tx:a"))
        shop.compact()
    assert problems(shop) == []
    maintenance.run(shop.data, MaintenancePlan(retention_days=1), START.timestamp() + 2 * DAY_S)
    assert problems(shop) == []
