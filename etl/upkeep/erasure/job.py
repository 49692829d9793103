"""The erasure of a tenant or a visitor, under the lake's lock:

1. wait until the open segments are sealed, and compact them;
2. rewrite the lake's files without the rows, and commit (`from_lake`);
3. delete the segments that the lake holds whole, except the newest of each series; in all other
   segments, replace the subject's lines by lines of kind `erased`, in a fresh chain (`from_log`);
4. delete the subject's lines from bytes set aside, every file of older snapshots, and the entries
   of `_delta_log` that name the subject;
5. search log and lake again (`searching`): `ErasureOutcome.remaining` names the files that still
   hold the subject, such as segments with events received meanwhile.

A kill at any point leaves a state that every reader accepts; a second run completes it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from etl.lake import compaction, duck
from etl.lake.errors import LakeError
from etl.lake.snapshot import held_whole
from etl.lake.store import LakeStore, LocalLake
from etl.lake.tables import TABLES
from etl.layout import Layout
from etl.log import compatibility, recovery, segments
from etl.log.store import LocalLog, SegmentStore
from etl.upkeep.erasure.from_lake import LakeErasure
from etl.upkeep.erasure.from_log import LogErasure
from etl.upkeep.erasure.outcome import ErasureOutcome
from etl.upkeep.erasure.searching import search
from etl.upkeep.erasure.subject import Subject

_POLL_S = 0.05


class EraseRefused(Exception):
    """The erasure stopped, perhaps after some changes; the message says why, and what to do."""


def run(  # noqa: PLR0913  (its clock and stores, passed in)
    data: Path,
    subject: Subject,
    plan: compaction.CompactionPlan,
    now_s: float,
    store: SegmentStore | None = None,
    *,
    lake: LakeStore | None = None,
    seal_timeout_s: float = 60.0,
) -> ErasureOutcome:
    """Erase the subject; the stores as for `compaction.run`.

    Raises the errors of that one, and EraseRefused.

    If the log is in object storage, this machine's own segments are searched, but not changed: they
    are copies that its shipper deletes.
    """
    layout = Layout(data.absolute())
    store, lake = store or LocalLog.of(layout), lake or LocalLake(layout)
    compatibility.refuse_newer(layout)
    layout.prepare()
    with lake.locked():
        _await_sealed(layout, seal_timeout_s)
        _compact(layout, store, lake, plan, now_s)
        try:
            outcome = _erase(layout, store, lake, subject, plan)
            outcome.remaining = [str(path) for path in search(layout, subject, lake)]
        except CommitFailedError as error:
            raise EraseRefused(
                f"another process changed the lake; run the erasure again: {error}"
            ) from error
        except duckdb.Error as error:
            raise LakeError(f"erasing: {error}") from error
    return outcome


def _await_sealed(layout: Layout, timeout_s: float) -> None:
    """Wait until the segments that are open now are sealed, by their writers or by recovery."""
    deadline_s = time.monotonic() + timeout_s
    unsealed = set(_open_segments(layout))
    while unsealed:
        recovery.recover_orphans(layout.log, layout.log_lock)
        unsealed = {path for path in unsealed if path.exists()}
        if unsealed and time.monotonic() > deadline_s:
            raise EraseRefused(
                f"{min(unsealed)} is still being written after {timeout_s:g} s; "
                "run the erasure again"
            )
        time.sleep(_POLL_S if unsealed else 0)


def _open_segments(layout: Layout) -> Iterator[Path]:
    for folder in segments.series_folders(layout.log):
        for _, path in segments.open_in(folder):
            yield path


def _compact(
    layout: Layout,
    store: SegmentStore,
    lake: LakeStore,
    plan: compaction.CompactionPlan,
    now_s: float,
) -> None:
    compacted = compaction.run_with_lock(layout, plan, now_s, store, lake)
    if compacted.stopped:
        first = compacted.stopped[0]
        where = f"{first.series}/{first.segment}"
        raise EraseRefused(f"segment {where} cannot be compacted: {first.reason}; see `check`")


def _erase(
    layout: Layout,
    store: SegmentStore,
    lake: LakeStore,
    subject: Subject,
    plan: compaction.CompactionPlan,
) -> ErasureOutcome:
    outcome = ErasureOutcome()
    from_lake = LakeErasure(lake, subject, outcome)
    with duck.connect(
        layout.spill, memory_bytes_max=plan.memory_bytes_max, threads_max=plan.threads_max
    ) as con:
        from_log = LogErasure(subject, from_lake.keys(con), outcome)
        snapshots = [from_lake.erase_rows(con, table) for table in TABLES]
    for name, listed in store.sealed().items():
        from_log.erase_segments(store, listed, held_whole(snapshots, name))
    for log_folder in {layout.log, store.folder}:
        for folder in segments.series_folders(log_folder):
            from_log.erase_set_aside(folder)
    for table in TABLES:
        from_lake.delete_older_versions(table)
    return outcome
