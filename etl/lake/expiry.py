"""Deleting segments that the lake has held for the grace period.

A segment is deleted once every table has held it whole for the grace period. So a reader that
listed it before the commit still finds it, and the commit is synced by then. While a series is
written, its newest sealed segment is kept, because recovery reads from it where the open segment
begins. Of a dead series all segments are deleted, and then its folder, unless bytes were set aside
in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from etl import durable
from etl.lake import delta_log
from etl.lake.errors import VersionNotFound
from etl.lake.snapshot import Snapshot, held_whole
from etl.layout import Layout
from etl.log import segments, series
from etl.log.segments import Sealed


def delete_compacted(layout: Layout, snapshots: Sequence[Snapshot], *, before_s: float) -> int:
    """Delete the segments that every table held at Unix time `before_s`; return their number."""
    dead = series.dead_series(layout.log, layout.log_lock)
    deleted = 0
    if _any_candidate(layout, snapshots, dead):
        aged = [_snapshot_at(layout.table(item.table.name), item, before_s) for item in snapshots]
        deleted = sum(
            _delete_in(folder, aged, dead) for folder in segments.series_folders(layout.log)
        )
    series.remove_dead(layout.log, layout.log_lock, dead)
    return deleted


def _delete_in(folder: Path, aged: Sequence[Snapshot], dead: set[str]) -> int:
    watermark = held_whole(aged, folder.name)
    listed = _deletable(segments.sealed_in(folder), dead)
    held = [item for item in listed if item.number <= watermark]
    for segment in held:
        segment.path.unlink(missing_ok=True)
    if held:
        durable.fsync_path(folder)
    return len(held)


def _deletable(listed: list[Sealed], dead: set[str]) -> list[Sealed]:
    return listed if listed and listed[0].series in dead else listed[:-1]


def _any_candidate(layout: Layout, snapshots: Sequence[Snapshot], dead: set[str]) -> bool:
    return any(
        segment.number <= held_whole(snapshots, series)
        for series, listed in segments.sealed_everywhere(layout.log).items()
        for segment in _deletable(listed, dead)[:1]
    )


def _snapshot_at(folder: Path, newest: Snapshot, before_s: float) -> Snapshot:
    """Return the newest snapshot committed by `before_s`; an empty one if there is none."""
    version = delta_log.newest_at(folder, before_s)
    with suppress(VersionNotFound):  # its files were deleted: that time is unknown
        if version is not None:
            return Snapshot.load(folder, newest.table, version)
    return Snapshot.empty(newest.table)
