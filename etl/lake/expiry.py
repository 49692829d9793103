"""Deleting segments that the lake has held for the grace period.

A segment is deleted once every table has held it whole for the grace period. So a reader that
listed it before the commit still finds it, and the commit is synced by then. While a series is
written, its newest sealed segment is kept, because recovery reads from it where the open segment
begins. Of a dead series all segments are deleted, and then its folder, unless bytes were set aside
in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from etl.lake import delta_log
from etl.lake.errors import VersionNotFound
from etl.lake.snapshot import Snapshot, held_whole
from etl.lake.store import LakeStore
from etl.log.segments import Sealed
from etl.log.store import SegmentStore


def delete_compacted(
    lake: LakeStore, store: SegmentStore, snapshots: Sequence[Snapshot], *, before_s: float
) -> int:
    """Delete the segments that every table held at Unix time `before_s`; return their number."""
    dead = store.dead_series()
    sealed = {name: _deletable(listed, dead) for name, listed in store.sealed().items()}
    held: list[Sealed] = []
    if _held_of(sealed, snapshots):
        aged = [_snapshot_at(lake, item, before_s) for item in snapshots]
        held = _held_of(sealed, aged)
        store.delete(held)
    store.remove_dead(dead)
    return len(held)


def _held_of(sealed: Mapping[str, list[Sealed]], by: Sequence[Snapshot]) -> list[Sealed]:
    """Return the segments that all tables hold whole."""
    watermarks = {name: held_whole(by, name) for name in sealed}
    return [
        item
        for name, listed in sealed.items()
        for item in listed
        if item.number <= watermarks[name]
    ]


def _deletable(listed: list[Sealed], dead: set[str]) -> list[Sealed]:
    return listed if listed and listed[0].series in dead else listed[:-1]


def _snapshot_at(lake: LakeStore, newest: Snapshot, before_s: float) -> Snapshot:
    """Return the newest snapshot committed by `before_s`; an empty one if there is none."""
    table = lake.table(newest.table)
    version = delta_log.newest_at(table.folder, before_s)
    with suppress(VersionNotFound):  # its entry was deleted: that time is unknown
        if version is not None:
            return Snapshot.of(table, version)
    return Snapshot.empty(newest.table)
