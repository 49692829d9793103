"""Compaction by other processes: Spark's tables, and the deaths of workers and drivers.

Attacked: an executor of Spark, killed while it writes the lake's files; and the driver, killed
while its tasks have read the log and written none of it. Must hold: the tables are those of one
process that compacts the same segments, `check` finds nothing, and nothing goes on without its
driver.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import traffic_tools as tools
from engine_tools import IN_A_BUCKET, ROUNDS_AT, compact_by, rows, seal_round, watermarks
from log_tools import Shop
from object_tools import FolderObjects, Machine, Objects
from shared_lake_tools import Warehouse, bucket_of
from spark_cluster import BRIEF_JAVA, in_session

from etl.lake.compaction import CompactionPlan
from etl.lake.engines import opening, spark, tasks
from etl.lake.engines.spark import SparkWorkers
from etl.log.shared_log import SharedLog
from etl.upkeep import check

CLUSTER = "local-cluster[2,1,1024]"
"""A master and two workers in the driver's Java process; their executors are processes."""
DRIVER = Path(__file__).with_name("engine_driver.py")
END_S = 300.0


@pytest.fixture(scope="module", autouse=True)
def brief_java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Settings where Spark reads them."""
    folder = tmp_path_factory.mktemp("conf")
    settings = [f"spark.{role}.extraJavaOptions {BRIEF_JAVA}\n" for role in ("driver", "executor")]
    (folder / "spark-defaults.conf").write_text("".join(settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[SparkWorkers]:
    with spark.opened(CLUSTER) as workers:
        yield workers


class Striking:
    """Workers of a cluster, of which one loses its executor at the first task that writes."""

    parallel = 2

    def __init__(self, cluster: SparkWorkers, mark: Path) -> None:
        self._cluster, self._mark = cluster, mark

    def map(self, function, work):
        mark = self._mark

        def strike_once(task):
            written = function(task)
            if not mark.exists():
                mark.touch()
                daemon = Path(f"/proc/{os.getppid()}/stat").read_text()
                os.kill(int(daemon.rpartition(")")[2].split()[1]), signal.SIGKILL)
                signal.pause()
            return written

        return self._cluster.map(strike_once if function is tasks.write else function, work)


def test_spark_makes_the_tables_of_one_process(tmp_path: Path, cluster: SparkWorkers) -> None:
    """Duplicates across groups, passes and the existing lake; rejected and erased lines; days."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for number, _ in enumerate(ROUNDS_AT):
        for shop in (one, many):
            seal_round(shop, random.Random(number), number)
        one.compact()
        assert compact_by(many, cluster).duplicates
        assert rows(many) == rows(one)
        assert watermarks(many) == watermarks(one)
    assert check.run(many.data).problems == []


def test_an_executor_that_dies_is_replaced(tmp_path: Path, cluster: SparkWorkers) -> None:
    """Spark runs its task again, which finds the file that the dead one wrote."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for shop in (one, many):
        seal_round(shop, random.Random(5), 0)
    one.compact()
    mark = tmp_path / "struck"
    compact_by(many, Striking(cluster, mark))
    assert mark.exists()
    assert rows(many) == rows(one)
    assert check.run(many.data).problems == []


def test_log_and_lake_may_be_in_a_bucket(tmp_path: Path, cluster: SparkWorkers) -> None:
    """The driver mirrors the segments, and fetches the files of the lake that its tasks read."""
    local, machine = Shop(tmp_path / "local"), Machine(Shop(tmp_path / "machine"), Objects())
    bucket = bucket_of(FolderObjects(tmp_path / "bucket"))
    one, two = (
        Warehouse(data, bucket, SharedLog(machine.objects, Shop(data).layout, "s3://bucket/lake"))
        for data in (tmp_path / "one", tmp_path / "two")
    )
    plans = CompactionPlan(), opening.by_workers(CompactionPlan(), cluster)
    for number, (warehouse, plan) in enumerate(zip((one, two), plans, strict=True)):
        for shop in (local, machine.shop):
            seal_round(shop, random.Random(number), number, IN_A_BUCKET)
        local.compact()
        assert not machine.ship().problems
        assert warehouse.compact(plan).duplicates
    for snapshot in two.lake.newest():
        snapshot.fetch()
    assert rows(Shop(two.data)) == rows(local)
    assert watermarks(Shop(two.data)) == watermarks(local)


@pytest.mark.parametrize("engine", ["processes", "local[2]"])
def test_a_driver_that_dies_loses_nothing(tmp_path: Path, engine: str) -> None:
    """Its workers end with it; the next compaction, by any engine, takes the same lines."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for shop in (one, many):
        seal_round(shop, random.Random(7), 0)
    one.compact()
    with subprocess.Popen(
        [sys.executable, DRIVER, many.data, engine], start_new_session=True
    ) as driver:
        assert driver.wait(END_S) == -9
    assert list(many.layout.shuffle.glob("*/read-*")), "it died before it had read anything"
    tools.eventually(
        lambda: not in_session(driver.pid), timeout_s=END_S, what="its workers ended with it"
    )
    if engine == "processes":
        many.compact()
    else:
        options = ("--engine", "spark", "--master", engine)
        outcome = tools.run_json("compact", *options, "--json", data=many.data)
        assert (outcome["segments"], outcome["stopped"]) == (9, [])
    assert not many.layout.shuffle.exists()
    assert rows(many) == rows(one)
    assert check.run(many.data).problems == []
