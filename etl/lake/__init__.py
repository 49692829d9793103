"""The lake: Delta tables of what the log held, and the live view over both.

    from etl import lake
    con = lake.connect("data")

It offers `connect` to notebooks; to jobs `tables`, `snapshot`, `commits`, `errors`, `delta_log`,
`parquet`, `duck`, `staging`, `compaction`, `rewrite` and `live`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from etl.lake.live import view


def connect(
    data: str | Path = "data", *, version: int | None = None, directory_url: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection with the live view, see `etl.lake.live.view`.

    `version` pins the events to one version of the lake, without the log's tail: the answers stay
    the same for as long as that version's files are kept. Raises LakeError, VersionNotFound.
    """
    folder = Path(data)
    directory = view.open_directory(folder, directory_url)
    return view.LiveView(folder, directory).connect(version=version)
