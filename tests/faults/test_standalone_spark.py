"""Compaction and reports on a standalone cluster of Spark.

Attacked: a machine that dies in the middle; slow tasks, of which Spark runs copies; a machine that
does not see the data folder. Besides, a log and a lake in a bucket. The master, its
workers, their executors and the command are processes of their own, and share the data folder. Must
hold: the command succeeds, and the tables are those of one process; or it says what is missing.

Only in `make soak`: six Java processes start for each.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import seaweed
import spark_cluster
import traffic_tools as tools
from engine_tools import IN_A_BUCKET, rows, seal_round, watermarks
from harness import eventually
from log_tools import DAY_S, Shop, event
from scale import figures, is_soak
from spark_cluster import SparkCluster, kill_session, stop_python

from etl.lake.snapshot import Snapshot
from etl.lake.tables import TABLES
from etl.upkeep import check

PATIENCE_S = 240.0
TASKS = 8
SEGMENTS = 9
DRIVER = Path(__file__).with_name("engine_driver.py")
SPECULATION = {
    "speculation": "true",
    "speculation_interval": "100ms",
    "speculation_multiplier": 1.1,
    "speculation_quantile": 0.5,
}


pytestmark = pytest.mark.skipif(not is_soak(), reason="the cluster is started in `make soak` only")


def test_a_machine_that_dies_with_its_worker_is_replaced(tmp_path: Path) -> None:
    """The other one runs the tasks of the dead one again."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    for shop in (one, many):
        seal_round(shop, random.Random(11), 0)
    one.compact()
    with (
        figures("a worker of standalone Spark dies") as counts,
        spark_cluster.running(tmp_path, workers=2, tasks=TASKS) as cluster,
        compacting(many, cluster) as command,
    ):
        # It keeps the task that it has, or is assigned one of those that wait, and ends none.
        victim = eventually(lambda: stopped_in_a_pass(many, cluster), PATIENCE_S)
        eventually(lambda: list(many.layout.shuffle.glob("*/read-*")), PATIENCE_S)
        assert command.poll() is None
        kill_session(victim)
        printed, warnings = command.communicate(timeout=PATIENCE_S)
        assert command.returncode == 0, warnings
        assert "Lost executor" in warnings
        outcome = json.loads(printed)
        assert (outcome["segments"], outcome["stopped"]) == (SEGMENTS, [])
        counts["lines"] = outcome["lines"]
    assert not many.layout.shuffle.exists()
    assert rows(many) == rows(one)
    assert watermarks(many) == watermarks(one)
    assert check.run(many.data).problems == []


def test_copies_of_slow_tasks_are_harmless(tmp_path: Path) -> None:
    """A copy runs at the same time as the task; Spark takes one result, and kills the other."""
    one, many = Shop(tmp_path / "one"), Shop(tmp_path / "many")
    copied = tmp_path / "copied"
    copied.mkdir()
    for shop in (one, many):
        seal_round(shop, random.Random(13), 0)
    one.compact()
    with (
        figures("copies of slow tasks of Spark"),
        spark_cluster.running(tmp_path, workers=2, tasks=TASKS, **SPECULATION) as cluster,
    ):
        line = [sys.executable, DRIVER, many.data, cluster.url, copied]
        subprocess.run(line, check=True, timeout=PATIENCE_S)
    assert sorted(path.name for path in copied.iterdir()) == ["read", "write"]
    assert not many.layout.shuffle.exists()
    assert rows(many) == rows(one)
    assert watermarks(many) == watermarks(one)
    many.seal(event(2 * DAY_S))
    many.compact()  # sweeps what a task that was killed has left
    assert uncommitted(many) == []
    assert check.run(many.data).problems == []


def test_log_and_lake_may_be_in_a_bucket(tmp_path: Path) -> None:
    """Only the driver has credentials; it mirrors what the tasks read, as a warehouse does."""
    shop, local = Shop(tmp_path / "machine" / "data"), Shop(tmp_path / "local" / "data")
    (tmp_path / "store").mkdir()
    places = {"log_url": "s3://spark/log", "lake_url": "s3://spark/lake"}
    warehouse = tmp_path / "warehouse"
    warehouse.mkdir()
    with (
        figures("Spark with a log and a lake in a bucket"),
        spark_cluster.running(tmp_path, workers=2, tasks=2) as cluster,
        contextmanager(seaweed.running)(tmp_path / "store") as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        # After the start of the workers, so that they have none.
        for name, value in store.environment.items():
            patch.setenv(name, value)
        on_spark = ("--engine", "spark", "--master", cluster.url)
        for number in range(2):
            for each in (shop, local):
                seal_round(each, random.Random(number), number, IN_A_BUCKET)
            local.compact()
            assert tools.run("ship", data=shop.data, **places).returncode == 0
            outcome = tools.run_json("compact", *on_spark, "--json", data=warehouse, **places)
            assert (outcome["segments"], outcome["stopped"]) == (6, [])
        expected = tools.run_json("report", "summary", "--json", data=local.data)
        shutil.rmtree(warehouse / "lake")  # as on a machine that has fetched nothing
        options = ("report", "summary", *on_spark, "--json")
        assert tools.run_json(*options, data=warehouse, **places)["rows"] == expected["rows"]
        assert tools.run_json("check", "--json", data=warehouse, **places)["problems"] == []
    assert rows(Shop(warehouse)) == rows(local)


def test_a_machine_without_the_data_folder_is_named(tmp_path: Path) -> None:
    """By a compaction and by a report, instead of wrong numbers. Nothing is committed."""
    shop = Shop(tmp_path / "shop" / "data")
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1))
    # A machine with an empty folder at that path: what is mounted there is its own.
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', shop.data]
    with (
        figures("a machine of Spark without the data folder"),
        spark_cluster.running(tmp_path, workers=1, tasks=1, prefix=hidden) as cluster,
    ):
        on_spark = ("--engine", "spark", "--master", cluster.url)
        for words in (("compact",), ("report", "summary")):
            done = tools.run(*words, *on_spark, data=shop.data)
            assert (done.returncode, done.stdout) == (2, "")
            assert "does not see" in done.stderr
            assert "by NFS" in done.stderr
            assert "Traceback" not in done.stderr
    assert shop.compact().rows == 1


def uncommitted(shop: Shop) -> list[Path]:
    """The files beside those of the newest versions, and of their keys."""
    listed = set()
    for table in TABLES:
        files = map(Path, Snapshot.load(shop.layout.table(table.name), table).files)
        listed |= {name for file in files for name in (file, file.with_suffix(".keys"))}
    return [path for path in shop.layout.lake.glob("*/event_date=*/*") if path not in listed]


@contextmanager
def compacting(shop: Shop, cluster: SparkCluster) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs; nothing of it is left afterwards."""
    options = ("--engine", "spark", "--master", cluster.url, "--json", "--data", shop.data)
    with subprocess.Popen(
        tools.command("compact", *options),
        env=tools.environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as command:
        try:
            yield command
        finally:
            kill_session(command.pid)


def stopped_in_a_pass(shop: Shop, cluster: SparkCluster) -> int | None:
    """A worker that has run a task, and whose Python is stopped, once a pass has begun."""
    if not list(shop.layout.shuffle.glob("*")):
        return None
    return next(filter(stop_python, cluster.workers), None)
