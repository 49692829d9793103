"""The errors of the jobs that commands run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from service.cli.output import fail


@contextmanager
def job_errors() -> Iterator[None]:
    """Fail with one line for an error of a job that has its cause outside of the program."""
    from etl.lake.compaction import CompactionConflict  # noqa: PLC0415
    from etl.lake.errors import LakeError  # noqa: PLC0415
    from etl.layout import DataFolderError  # noqa: PLC0415
    from etl.log.mending import MendRefused  # noqa: PLC0415
    from etl.log.rescue import NoSuchSeries, ShippingTaken  # noqa: PLC0415
    from etl.log.series import SeriesFormatError  # noqa: PLC0415
    from etl.log.store import LogUnavailable  # noqa: PLC0415
    from etl.object_store import ObjectStoreError  # noqa: PLC0415
    from etl.spark_session import SparkUnavailable  # noqa: PLC0415
    from etl.upkeep.backup import BackupRefused  # noqa: PLC0415
    from etl.upkeep.erasure import EraseRefused  # noqa: PLC0415

    rejections = (BackupRefused, EraseRefused, MendRefused, NoSuchSeries)
    conflicts = (CompactionConflict, ShippingTaken)
    io_errors = (LakeError, DataFolderError, SeriesFormatError, OSError, sqlite3.Error)
    unavailable = (LogUnavailable, ObjectStoreError, SparkUnavailable)
    try:
        yield
    except (*rejections, *conflicts, *io_errors, *unavailable) as error:
        fail(str(error))
