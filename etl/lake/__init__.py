"""The lake: Delta tables of the lines that were compacted, and the live view over lake and log.

    from etl import lake
    con = lake.connect("data")

It offers

    connect                          the live view for notebooks
    live.view, snapshot, errors      reading; `tables` describes the tables
    compaction                       the job that moves the log into the lake
    commits, parquet, rewrite, duck, staging, rejected_rows, delta_log    to other jobs of etl
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from etl.goals import GoalError, GoalStore
from etl.lake.live import view
from etl.lake.opening import LakePlace, open_lake
from etl.layout import Layout
from etl.log.opening import open_store

_GOALS = pa.schema([("tenant_id", "int64"), ("name", "string"), ("filters", "string")])


def connect(
    data: str | Path = "data",
    *,
    version: int | None = None,
    directory_url: str | None = None,
    log_url: str = "",
    lake_url: str = "",
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection with the live view, see `etl.lake.live.view`.

    `version` pins the events to one version of the lake, without the log's tail: the answers stay
    the same for as long as that version's files are kept. `log_url` and
    `lake_url` name a log and a lake in object storage. Raises DataFolderError, LakeError,
    VersionNotFound.
    """
    folder = Path(data)
    directory = view.open_directory(folder, directory_url)
    limits = view.ViewLimits(tail_bytes_max=0)
    layout = Layout(folder.absolute())
    store = open_store(layout, log_url, lake_url)
    lake = open_lake(layout, LakePlace(lake_url, log_url=log_url))
    con = view.LiveView(folder, directory, limits, store, lake).connect(version=version)
    _view_goals(con, GoalStore(layout.goals))
    return con


def _view_goals(con: duckdb.DuckDBPyConnection, store: GoalStore) -> None:
    """Make the view `goals`; without it, no report of the connection knows a goal."""
    with suppress(GoalError):
        rows = [
            {"tenant_id": goal.tenant_id, "name": goal.name, "filters": json.dumps(goal.filters)}
            for goal in store.all()
        ]
        con.register("listed_goals", pa.Table.from_pylist(rows, _GOALS))
        con.execute("CREATE TEMP VIEW goals AS FROM listed_goals")
