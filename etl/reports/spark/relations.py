"""The relations of the reports on Spark: one version of the lake, and the directory's names.

The events are those that DuckDB shows for the same version, by the same SQL: columns that files
lack or pack are read as `etl.lake.tables` says, a sale that a signed one outranks is left out, and
the signed one has what it takes over from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from etl.lake import signed_sales
from etl.lake.errors import LakeError
from etl.lake.live.names import Names
from etl.lake.snapshot import SIGNED, Snapshot, newest_date
from etl.lake.tables import PARTITION, Table
from etl.reports.spark import transpile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TYPES = {"VARCHAR": "STRING", "TIMESTAMPTZ": "TIMESTAMP"}
"""DuckDB's name of a type -> Spark's, where they differ."""
_AS_NAMED = "__globPaths__"
"""The option of Spark's reader whether brackets and stars in a path are a pattern."""


def view_events(spark: SparkSession, events: Snapshot) -> None:
    """Make the views `every_event`, and `events`: those that reports count.

    Raises LakeError if a file is missing: an erasure deletes the files of older versions at once.
    """
    every = " UNION ALL ".join(
        _view_files(spark, events.table, number, files)
        for number, files in enumerate(_generations(events))
    )
    nothing = f"SELECT {events.table.read(events.table.stored)} LIMIT 0"
    counted = _query(spark, every or nothing)
    counted.createOrReplaceTempView("every_event")
    if events.watermark(SIGNED):
        _view_signed(spark)
        counted = _query(spark, signed_sales.counted("every_event", "replaced", "completed"))
    counted.createOrReplaceTempView("events")


def _view_signed(spark: SparkSession) -> None:
    """Make the views `replaced` and `completed`, from pairs that are found once per question."""
    pairs = _query(spark, signed_sales.pairs("every_event", "every_event"))
    with duckdb.connect() as con:
        con.register("pairs", pairs.toArrow())
        for name, rows in (
            ("replaced", signed_sales.replaced("pairs")),
            ("completed", signed_sales.completed("pairs")),
        ):
            view_table(spark, name, con.sql(rows).to_arrow_table())


def view_names(spark: SparkSession, names: Names) -> None:
    """Make the views `tenants` and `products`."""
    view_table(spark, "tenants", names.tenants)
    view_table(spark, "products", names.products)


def view_table(spark: SparkSession, name: str, table: pa.Table) -> None:
    """Make a view of a small table."""
    spark.createDataFrame(table).createOrReplaceTempView(name)


def newest_receipt(spark: SparkSession, events: Snapshot) -> datetime | None:
    """Return the receipt of the newest event; None if there is none."""
    day = newest_date([events])
    if day is None:
        return None
    newest = f"SELECT max(received_at) FROM every_event WHERE {PARTITION} = DATE '{day}'"
    moment = spark.sql(newest).toArrow().column(0)[0].as_py()
    return moment if isinstance(moment, datetime) else None


def _generations(events: Snapshot) -> list[list[str]]:
    """Return the files in groups that lack the same columns."""
    by_missing: dict[frozenset[str], list[str]] = {}
    for file in events.files:
        by_missing.setdefault(events.table.missing_in(file), []).append(file)
    return list(by_missing.values())


def _view_files(spark: SparkSession, table: Table, number: int, files: Sequence[str]) -> str:
    """Make a view of files that lack the same columns; return the SELECT of the table's columns."""
    missing = table.missing_in(files[0])
    columns = {name: kind for name, kind in table.stored.items() if name not in missing}
    schema = ", ".join(f"{name} {_TYPES.get(kind, kind)}" for name, kind in columns.items())
    folder = files[0].rpartition(f"/{PARTITION}=")[0]
    reader = spark.read.schema(schema).option("basePath", folder).option(_AS_NAMED, value=False)
    rows = reader.parquet(*files)
    if len(rows.inputFiles()) != len(files):  # Spark leaves missing files out
        raise LakeError("a file of the lake is missing; ask again")
    rows.createOrReplaceTempView(f"files_{number}")
    return f"SELECT {table.read(missing)} FROM files_{number}"


def _query(spark: SparkSession, sql: str) -> DataFrame:
    return spark.sql(transpile.query(sql))
