"""Deleting segments that the lake has held for long enough.

A segment goes when every table held it already at the newest version that is older than the
grace, so a reader that listed it before the commit still finds it, and only after the commit was
synced. The newest sealed segment of a series always stays: its numbering goes on from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from etl import durable, lake, segments
from etl.lake import Snapshot, VersionNotFound
from etl.layout import Layout


def delete_compacted(layout: Layout, snapshots: Sequence[Snapshot], *, before_s: float) -> int:
    """Delete segments that every table held at Unix time `before_s`; how many."""
    if not _any_candidate(layout, snapshots):
        return 0
    aged = [_snapshot_at(layout.table(item.table.name), item, before_s) for item in snapshots]
    deleted = 0
    for folder in segments.series_folders(layout.log):
        mark = min(item.watermark(folder.name) for item in aged)
        deletable = [item for item in segments.sealed_in(folder)[:-1] if item.number <= mark]
        for segment in deletable:
            segment.path.unlink(missing_ok=True)
        if deletable:
            durable.fsync_path(folder)
        deleted += len(deletable)
    return deleted


def _any_candidate(layout: Layout, snapshots: Sequence[Snapshot]) -> bool:
    return any(
        segment.number <= min(item.watermark(series) for item in snapshots)
        for series, listed in segments.sealed_everywhere(layout.log).items()
        for segment in listed[:-1]
    )


def _snapshot_at(folder: Path, newest: Snapshot, before_s: float) -> Snapshot:
    """The newest version committed at or before `before_s`; an empty snapshot if there is none."""
    commits = sorted((folder / "_delta_log").glob("*.json"), reverse=True)
    for commit in commits:
        if commit.stem.isdigit() and commit.stat().st_mtime <= before_s:
            try:
                return lake.load(folder, newest.table, int(commit.stem))
            except VersionNotFound:
                break  # what it is made of was deleted: nothing is known of that time
    return Snapshot(newest.table, None, (), None)
