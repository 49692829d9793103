"""Reports on Spark against DuckDB: equal tables for the same version of the lake.

Attacked: random traffic and random questions (`report_traffic`) over files of all three
generations, sales that a signed one outranks in another file, clocks that change at midnight, a
data folder whose name is a pattern to Spark. Must hold: for every report that Spark answers, the
result is DuckDB's, with its columns, types, order and parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import calendar_reference as calendar
import duckdb
import pyarrow as pa
import pytest
import scale
from log_tools import DAY_S, event
from object_tools import FolderObjects
from older_files import FIRST, SECOND, written_as
from report_reference import DAY, Record
from report_traffic import SCENES, Traffic, asked_of, line
from shared_lake_tools import bucket_of, pair
from test_report_numbers import shop_of

from etl import reports, spark_session
from etl.directory.database import DirectoryDatabase
from etl.goals import Goal, GoalStore
from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.lake.tables import EVENTS
from etl.reports import Question, spark
from etl.reports.spark import transpile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ALIKE = {"browsers", "countries", "devices"}
"""Reports with the SQL of `channels` for another column; only the long form asks them."""
ANSWERED = sorted(
    set(reports.names()) - {"quality", "shops"} - (set() if scale.is_soak() else ALIKE)
)
FUNNELS: list[dict[str, str]] = [
    {"steps": "view,view,view:product=7"},
    {"steps": "view,contact,purchase", "within": "30m", "bots": "true"},
    {
        "steps": "contact,view:path=/zapatos,goal:called,view",
        "within": "1d",
        "tenant": "1",
        "bots": "true",
    },
    {"steps": "view,cart_add,view,cart_add,view,cart_add,view,contact"},
]
SCENE = "America/Havana", "2026-03-08"
RECORDS = 240
VERSIONS = (None, 2) if scale.is_soak() else (None,)
ROUNDS = scale.rounds(1, 20)
PARTS = 3
"""Tests per scene, so that none of them is near its timeout on a busy machine."""
FRUGAL = """
spark.driver.bindAddress       127.0.0.1
spark.driver.extraJavaOptions  -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.driver.host              127.0.0.1
spark.sql.adaptive.enabled     false
spark.sql.codegen.factoryMode  NO_CODEGEN
spark.sql.codegen.wholeStage   false
spark.sql.shuffle.partitions   1
"""
"""Settings for few rows: nothing is compiled, and nothing is divided."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    folder = tmp_path_factory.mktemp("spark")
    (folder / "spark-defaults.conf").write_text(FRUGAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        with spark_session.opened("local[2]") as session:
            yield session


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "a [b] {c}*"


class FewDays(Traffic):
    """Traffic near a few midnights: every day of receipt is a file more."""

    def _moment(self) -> datetime:
        day = self.day + self._random.choice((-31, -1, 0, 0, 1)) * DAY
        minutes, us = self._random.randrange(-90, 91, 30), self._random.randrange(-2000, 2000)
        return calendar.start_of_day(day, self.zone) + timedelta(minutes=minutes, microseconds=us)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("zone", "day"), SCENES if scale.is_soak() else [SCENE])
def test_spark_answers_as_duckdb_does(
    session: SparkSession, zone: str, day: str, part: int, data: Path
) -> None:
    """Every report about the newest version; in the long form also about an earlier one."""
    with scale.figures(f"reports on Spark, {zone} {day}, {part + 1}/{PARTS}") as counts:
        counts["questions"] = 0
        for number in range(ROUNDS):
            traffic = FewDays(Random(f"spark {zone} {day} {number} {part}"), zone, day)
            view = lake_of(data / str(number), traffic)
            for name, version in product(ANSWERED[part::PARTS], VERSIONS):
                asked = asked_of(traffic.question(), set(reports.load(name).parameters))
                compare(view, Question(name, asked), session, version)
                counts["questions"] += 1


def lake_of(data: Path, traffic: Traffic) -> LiveView:
    """A lake with a file of each generation."""
    shop = shop_of(data)
    events = [line(each) for each in traffic.records(RECORDS)]
    third = len(events) // 3
    for number, generation in enumerate((FIRST, SECOND, EVENTS)):
        shop.seal(*events[number * third : (number + 1) * third])
        with written_as(generation):
            shop.compact()
    return LiveView(shop.data, DirectoryDatabase(shop.layout.directory_url))


def compare(view: LiveView, question: Question, session: SparkSession, version: int | None) -> None:
    """Ask both engines the same question."""
    found = spark.answer(view, question, nullcontext(session), version=version)
    expected = reports.answer(view, question, version=found.version)
    assert found.parameters == expected.parameters, question
    assert found.table.to_pylist() == expected.table.to_pylist(), question
    assert found.table.schema == expected.table.schema
    assert (found.version, found.tail_events) == (expected.version, 0)


def test_funnels_with_steps(session: SparkSession, data: Path) -> None:
    """Of visitors with many events, many of them at the same time, and of a goal."""
    shop = shop_of(data)
    GoalStore(shop.layout.goals).add(Goal(1, "called", {"type": "call"}))
    records = FewDays(Random("funnels"), *SCENE).records(5 * RECORDS)
    shop.seal(*map(line, map(on_the_hour, records)))
    shop.compact()
    view = LiveView(shop.data, DirectoryDatabase(shop.layout.directory_url))
    for asked in FUNNELS:
        question = Question("funnel", asked)
        compare(view, question, session, None)
        assert all(row["visitors"] for row in reports.answer(view, question).rows)


def on_the_hour(record: Record) -> Record:
    """An event of the endpoint `track`, moved to the start of its hour; others as they are."""
    if record["kind"] != "event" or record["endpoint"] != "track":
        return record
    return record | {
        "occurred_at": record["occurred_at"].replace(minute=0, second=0, microsecond=0)
    }


def test_a_lake_in_a_bucket(session: SparkSession, tmp_path: Path) -> None:
    """The files that Spark's workers read are fetched first."""
    shop = shop_of(tmp_path / "shop")
    bucket = bucket_of(FolderObjects(tmp_path / "bucket"))
    one, two = pair(tmp_path, bucket, shop)
    shop.seal(event(0), event(DAY_S, tenant_id=2))
    one.compact()
    assert two.copies() == []
    found = spark.answer(two.view(), Question("summary"), nullcontext(session))
    expected = reports.answer(one.view(), Question("summary"), version=found.version)
    assert found.rows == expected.rows
    assert len(found.rows) == len(two.copies()) == 2


def test_a_session_keeps_no_trace(session: SparkSession, data: Path) -> None:
    """Neither a view nor a setting."""
    zone = session.conf.get("spark.sql.session.timeZone")
    view = LiveView(data)  # an empty lake, and no directory
    assert spark.answer(view, Question("summary"), nullcontext(session)).rows == []
    assert session.catalog.listTables() == []
    assert session.conf.get("spark.sql.session.timeZone") == zone


@pytest.mark.parametrize("name", ["data", "a [b] {c}*"])
def test_a_file_that_is_gone(session: SparkSession, tmp_path: Path, name: str) -> None:
    """No number without its rows."""
    shop = shop_of(tmp_path / name)
    shop.seal(event(0), event(DAY_S))
    shop.compact()
    next(shop.data.glob("lake/events/*/*.parquet")).unlink()
    with pytest.raises((LakeError, spark.SparkFailed)) as failed:
        spark.answer(LiveView(shop.data), Question("revenue"), nullcontext(session))
    assert "\n" not in str(failed.value)


def test_quotients_are_rounded_alike(session: SparkSession) -> None:
    """Of all small counts, also those in the middle between two numbers of four decimals."""
    query = (
        "SELECT a, b, round(a / nullif(b, 0), 4) AS rate, round(a / nullif(b, 0) - 1, 4) AS change"
    )
    counts = range(200)
    pairs = pa.table(
        {"a": [a for a in counts for _ in counts], "b": [b for _ in counts for b in counts]}
    )
    isolated = session.newSession()
    isolated.createDataFrame(pairs).createOrReplaceTempView("pairs")
    on_spark = isolated.sql(transpile.query(f"{query} FROM pairs")).toArrow()
    with duckdb.connect() as con:
        con.register("pairs", pairs)
        expected = con.sql(f"{query} FROM pairs").to_arrow_table()
    order = [("a", "ascending"), ("b", "ascending")]
    assert on_spark.sort_by(order).to_pylist() == expected.sort_by(order).to_pylist()
