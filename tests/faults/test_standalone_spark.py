"""Compaction on a standalone cluster of Spark, of which a machine dies in the middle.

The master, its two workers, their executors and the command are processes of their own, and share
the data folder. Must hold: the command succeeds, and the tables are those of one process.

Only in `make soak`: six Java processes start for it.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import spark_cluster
import traffic_tools as tools
from engine_tools import rows, seal_round, watermarks
from harness import eventually
from log_tools import Shop
from scale import figures, is_soak
from spark_cluster import SparkCluster, kill_session, stop_python

from etl.upkeep import check

PATIENCE_S = 240.0
TASKS = 8
SEGMENTS = 9


@pytest.mark.skipif(not is_soak(), reason="the cluster is started in `make soak` only")
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
