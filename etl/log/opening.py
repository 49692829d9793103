"""Opening the segment store of a data folder: the one place that chooses its form."""

from __future__ import annotations

from etl.layout import Layout
from etl.log import shipped
from etl.log.store import LocalLog, SegmentStore
from etl.object_store import ObjectStore

READ_TIMEOUT_S = 10.0
"""A report waits for storage that hangs, so this is less than its timeout."""


def open_store(layout: Layout, log_url: str, lake_url: str = "") -> SegmentStore:
    """Return the log at `log_url`, or the folder's own log if that is empty.

    `lake_url`: the lake into which it is compacted, or empty for that of the folder.
    """
    if not log_url:
        return LocalLog.of(layout)
    from etl.log.shared_log import SharedLog  # noqa: PLC0415  (few need it)

    return SharedLog(ObjectStore.open(log_url, timeout_s=READ_TIMEOUT_S), layout, lake_url)


def store_of_segment(
    layout: Layout, log_url: str, series: str, number: int, lake_url: str = ""
) -> SegmentStore:
    """Return the store of one segment: the folder's own log, until it is shipped."""
    folder = layout.log / series
    if folder.is_dir() and number > shipped.read(folder).upto:
        return LocalLog.of(layout)
    return open_store(layout, log_url, lake_url)
