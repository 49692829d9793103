"""A pass by tasks makes the tables that one process makes, and commits only what is whole."""

from __future__ import annotations

import pickle
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from engine_tools import ROUNDS_AT, SERIES, InlineWorkers, compact_by, rows, seal_round, watermarks
from examples import share
from log_tools import Killed, Shop, event, killed_before

from etl.lake import commits, parquet
from etl.lake.compaction import CompactionPlan
from etl.lake.engines import shuffle, spread, tasks
from etl.lake.engines.spread import CountMismatch
from etl.lake.engines.tasks import ReadTask, WriteTask
from etl.lake.errors import LakeError
from etl.lake.keys import format as key_format
from etl.lake.store import alone_here
from etl.log.backlog import Stopped
from etl.upkeep import check

SMALL = CompactionPlan(bytes_max=24_000)
"""A round takes several passes, which cut segments."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture(scope="module")
def compacted(tmp_path_factory) -> dict[str, list[tuple]]:
    """The tables that one process makes of the first round."""
    shop = Shop(tmp_path_factory.mktemp("one") / "data")
    seal_round(shop, random.Random(1), 0)
    shop.compact()
    return rows(shop)


def read_tasks(workers: InlineWorkers) -> list[ReadTask]:
    return [task for task in workers.tasks if isinstance(task, ReadTask)]


def write_tasks(workers: InlineWorkers) -> list[WriteTask]:
    return [task for task in workers.tasks if isinstance(task, WriteTask)]


# -- the same tables --------------------------------------------------------------------------


@pytest.mark.default_python
@pytest.mark.parametrize(
    ("parallel", "runs", "plan"),
    share([(2, 2, SMALL), (3, 1, CompactionPlan())]),
)
def test_the_tables_are_those_of_one_process(tmp_path, parallel, runs, plan):
    """Whatever the passes, the shards and the repeated tasks; engines may take turns."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for number, _ in enumerate(ROUNDS_AT):
        for shop in (one, many):
            seal_round(shop, random.Random(number), number)
        expected = one.compact(SMALL)
        outcome = compact_by(many, InlineWorkers(parallel, runs), plan)
        assert replace(outcome, version=None) == replace(expected, version=None)
        assert expected.duplicates, "without duplicates this shows little"
        assert rows(many) == rows(one)
        assert watermarks(many) == watermarks(one)
    assert check.run(many.data).problems == []
    assert not many.layout.shuffle.exists()


def test_tasks_can_be_sent_to_other_processes(shop):
    """And so can their results."""
    seal_round(shop, random.Random(1), 0)
    workers = InlineWorkers(2)
    compact_by(shop, workers)
    sent = [*read_tasks(workers), *write_tasks(workers)]
    assert len(sent) == 4
    assert [pickle.loads(pickle.dumps(task)) for task in sent] == sent
    written = write_tasks(workers)[0]
    assert written.tables[0].snapshot().table.name == "events"


def test_a_pass_grows_with_the_workers(shop):
    """Tasks stay of one size; the lines are divided about evenly."""
    for number in range(8):
        shop.seal(*(event(number + place / 100) for place in range(10)))
    workers = InlineWorkers(4)
    assert compact_by(shop, workers).lines == 80
    assert [sum(item.lines for item in task.sources) for task in read_tasks(workers)] == [20] * 4


def test_a_repeat_in_another_group_is_found(shop):
    """Both are in the shard of their key."""
    for after_s, series in enumerate(SERIES):
        shop.seal(event(after_s, dedupe_key="id:a"), series=series)
    workers = InlineWorkers(3)
    outcome = compact_by(shop, workers)
    assert (outcome.rows, outcome.duplicates) == (1, 2)
    assert (len(read_tasks(workers)), len(write_tasks(workers))) == (3, 1)


def test_a_hot_tenant_is_divided_like_all_others(shop):
    """No task is longer because a tenant has most of the events."""
    shop.seal(*(event(number, dedupe_key=f"id:{number}") for number in range(400)))
    workers = InlineWorkers(4)
    assert compact_by(shop, workers).rows == 400
    lines = [sum(share.lines for share in task.shares) for task in write_tasks(workers)]
    assert len(lines) == 4
    assert min(lines) > 50


def test_a_missing_key_file_is_made_again(shop):
    """By the driver, after its commit; the Parquet file answers until then."""
    shop.seal(event(0, dedupe_key="id:a"))
    compact_by(shop, InlineWorkers(2))
    (data_file,) = shop.layout.table("events").glob("*/*.parquet")
    key_format.path_of(data_file).unlink()
    shop.seal(event(1, dedupe_key="id:a"), event(2, dedupe_key="id:b", tenant_id=2))
    outcome = compact_by(shop, InlineWorkers(2))
    assert (outcome.rows, outcome.duplicates) == (1, 1)
    assert key_format.path_of(data_file).exists()


# -- what the driver checks -------------------------------------------------------------------


class Meddling(InlineWorkers):
    """Workers whose results are changed by `meddle`, a function of a result."""

    def __init__(self, meddle) -> None:
        super().__init__(2)
        self.meddle = meddle

    def map(self, function, tasks):
        return [self.meddle(result) for result in super().map(function, tasks)]


def lose_a_shard(result):
    """A read task forgets a shard."""
    return dict(list(result.items())[1:]) if isinstance(result, dict) else result


def lose_a_file(result):
    """A file between the tasks is gone, or holds lines of another shard."""
    if isinstance(result, dict):
        for share in result.values():
            share.files[0].unlink()
    return result


def lose_lines(result):
    """A share has more lines than its files."""
    if isinstance(result, dict):
        return {
            shard: share if shard else replace(share, files=share.files * 2)
            for shard, share in result.items()
        }
    return result


def lose_duplicates(result):
    """A write task counts too few duplicates."""
    if isinstance(result, tasks.WrittenShard):
        events = replace(result.tables["events"], duplicates=0)
        return replace(result, tables={**result.tables, "events": events})
    return result


def lose_lines_of_a_shard(result):
    """A write task took a part of its shard."""
    if isinstance(result, tasks.WrittenShard):
        return replace(result, lines=result.lines - 1)
    return result


COUNTED = (lose_a_shard, lose_duplicates, lose_lines_of_a_shard)


@pytest.mark.parametrize("meddle", share([*COUNTED, lose_a_file, lose_lines]))
def test_nothing_is_committed_unless_every_line_is_there_once(shop, compacted, meddle):
    """The next run takes the same lines."""
    seal_round(shop, random.Random(1), 0)
    with pytest.raises(LakeError) as raised:
        compact_by(shop, Meddling(meddle))
    if meddle in COUNTED:
        assert raised.type is CountMismatch
    assert shop.query("SELECT version FROM snapshot") == [(0,)]
    assert not shop.layout.shuffle.exists()
    compact_by(shop, InlineWorkers(2))
    assert rows(shop) == compacted


def test_a_segment_that_cannot_be_read_stops_its_series_alone(shop):
    """As in one process: the task returns it."""
    seal_round(shop, random.Random(1), 0)
    wrong = shop.seal(b'{"kind":"other"}', series="h-w9-zz")
    shop.seal(event(99), series="h-w9-zz")
    outcome = compact_by(shop, InlineWorkers(2))
    reason = "1 of 1 lines are of no known kind"
    assert outcome.stopped == [Stopped("h-w9-zz", wrong.number, reason)]
    assert outcome.segments == 9


# -- what the workers check -------------------------------------------------------------------


def test_a_worker_without_the_data_folder_says_so(shop):
    """Every worker needs it at the driver's path."""
    shop.seal(event(0))

    def hide(result):
        shutil.rmtree(shop.layout.shuffle, ignore_errors=True)
        return result

    with pytest.raises(LakeError, match=r"does not see .*shuffle.* needs the data folder"):
        compact_by(shop, Meddling(hide))


def test_a_worker_without_the_log_says_so(shop):
    """Or the segment was deleted meanwhile."""
    segment = shop.seal(event(0))

    class Blind(InlineWorkers):
        def map(self, function, work):
            segment.path.rename(segment.path.with_suffix(".hidden"))
            return super().map(function, work)

    with pytest.raises(LakeError, match=r"does not see .*ndjson"):
        compact_by(shop, Blind(2))


def test_a_worker_of_another_version_takes_no_task(shop, monkeypatch):
    """It might write other rows."""
    shop.seal(event(0))
    workers = InlineWorkers(2)
    monkeypatch.setattr(
        spread, "PassFacts", lambda *facts: tasks.PassFacts(*facts, versions="others")
    )
    with pytest.raises(LakeError, match=r"has beaconlog .* with DuckDB .*, the driver others"):
        compact_by(shop, workers)


def test_a_task_leaves_the_temporary_files_of_others(shop):
    """Another task may be writing them."""
    shop.seal(event(0), event(1, tenant_id=2), event(2, tenant_id=3))
    compact_by(shop, InlineWorkers(1))
    (partition,) = shop.layout.table("events").glob("event_date=*")
    mine = partition / "other-task.tmp"

    def write_beside(result):
        if isinstance(result, dict):
            mine.touch()
        return result

    shop.seal(event(3))
    compact_by(shop, Meddling(write_beside))
    assert mine.exists()
    compact_by(shop, InlineWorkers(1))
    shop.seal(event(4))
    compact_by(shop, InlineWorkers(1))
    assert not mine.exists(), "the next run takes it for a dead task's"


def test_a_task_whose_pass_has_ended_adds_no_file(shop, monkeypatch):
    """The lake's lock may be another job's by then, such as an erasure's."""
    shop.seal(event(0))
    stage = shuffle.stage

    def stage_too_long(con, shares):
        lines = stage(con, shares)
        shutil.rmtree(shop.layout.shuffle)
        return lines

    monkeypatch.setattr(shuffle, "stage", stage_too_long)
    with pytest.raises((LakeError, OSError)):
        compact_by(shop, InlineWorkers(1))
    assert not list(shop.layout.table("events").glob("event_date=*/*"))


def test_the_next_job_deletes_lines_of_a_killed_compaction(shop):
    """Also a job that cannot have the lake after all."""
    left = shop.layout.shuffle / "a-pass"
    left.mkdir(parents=True)
    with alone_here(shop.layout):
        assert not left.exists()


# -- deaths -----------------------------------------------------------------------------------

CALLS = (
    (shuffle, "write"),
    (shuffle, "stage"),
    (parquet, "write"),
    (commits, "commit"),
)


@pytest.mark.parametrize("step", share([2, 4, 7, 11, 12, 13]))
def test_whenever_the_driver_dies_the_next_run_completes(shop, compacted, step):
    """By any engine: nothing is lost, nothing is there twice."""
    seal_round(shop, random.Random(1), 0)
    with pytest.raises(Killed), killed_before(step, CALLS):
        compact_by(shop, InlineWorkers(2))
    if step % 2:
        shop.compact()
    else:
        compact_by(shop, InlineWorkers(3))
    assert rows(shop) == compacted
    assert check.run(shop.data).problems == []
