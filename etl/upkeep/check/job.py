"""The verification of a data folder.

- names: the program makes every file and folder in it (`etl.upkeep.check.names`);
- log: every sealed segment matches its name, and its CRCs and ordinals are valid; the numbers of a
  series have no gap above the watermark (`etl.upkeep.check.log`);
- lake: every file of the newest snapshot has the size and rows of its commit, and every commit
  balances: lines = rows + duplicates (`etl.upkeep.check.tables`);
- key files: their bytes are intact, and they hold the keys of their Parquet files
  (`etl.upkeep.check.keys`);
- shipping: the segments that wait for object storage are intact, and nothing keeps them from it;
- directory: the saved directory of a server is intact;
- agreement: the lines of the compacted segments that still exist are rows of the lake, and the next
  compaction can read the others (`etl.upkeep.check.agreement`).

It only reads, and may run while the service runs: segments are listed before the snapshot is
loaded, as for the live view.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from etl.directory import snapshot_file
from etl.directory.entries import DirectoryUnavailable
from etl.lake.errors import LakeError
from etl.lake.snapshot import held_whole
from etl.lake.store import LakeStore, LocalLake
from etl.lake.tables import TABLES
from etl.layout import Layout
from etl.log.segments import Sealed
from etl.log.store import LocalLog, NotTheWarehouse, SegmentStore
from etl.upkeep.check import agreement, keys, log, names, tables
from etl.upkeep.check.findings import DirectoryFacts, Findings, Problem

_ATTEMPTS_MAX = 3


def run(
    data: Path,
    store: SegmentStore | None = None,
    lake: LakeStore | None = None,
    *,
    now_s: Callable[[], float] = time.time,
) -> Findings:
    """Verify a data folder and return the findings; `now_s` is the wall clock.

    `store` holds the segments and `lake` the tables; those of the data folder by default. It starts
    again if a table cannot be read: a compaction that starts after a power cut may set aside an
    entry of the Delta log meanwhile. Raises NewerFormat if a newer version wrote the folder,
    DataFolderError if its format cannot be read, LogUnavailable.
    """
    layout = Layout(data.absolute())
    store, lake = store or LocalLog.of(layout), lake or LocalLake(layout)
    layout.refuse_newer()
    for _ in range(_ATTEMPTS_MAX):
        findings = Findings()
        try:
            _verify(layout, store, lake, findings)
        except LakeError as error:
            findings.problems.append(Problem(tables.UNREADABLE, str(error)))
        if not any(problem.what == tables.UNREADABLE for problem in findings.problems):
            break
    findings.directory = _directory(layout, now_s())
    return findings


def _directory(layout: Layout, now_s: float) -> DirectoryFacts | None:
    path = layout.directory_snapshot
    try:
        end = snapshot_file.verify(path)
    except DirectoryUnavailable:
        return None
    return DirectoryFacts(end.tenants, end.products, snapshot_file.age_s(path, now_s))


def _verify(layout: Layout, store: SegmentStore, lake: LakeStore, findings: Findings) -> None:
    sealed = _sealed(store)
    findings.problems += names.problems(layout)
    log.verify_shipping(store, findings)
    snapshots = list(tables.load(lake, findings))
    intact = list(log.verify(layout, sealed, findings))
    watermarks = {series: held_whole(snapshots, series) for series in sealed}
    log.verify_numbers(sealed, watermarks, findings)
    whole = [
        snapshot
        for snapshot in snapshots
        if tables.verify(lake.table(snapshot.table), snapshot, findings)
    ]
    for snapshot in whole:
        if snapshot.table.is_keyed:
            keys.verify(snapshot, findings)
    if len(whole) == len(TABLES):
        compacted = [item for item in intact if item.number <= watermarks[item.series]]
        agreement.compare(compacted, snapshots, findings)
        tail = [item for item in intact if item.number > watermarks[item.series]]
        agreement.read_tail(tail, findings)


def _sealed(store: SegmentStore) -> dict[str, list[Sealed]]:
    """Return the segments from which this data folder's lake is made."""
    try:
        return store.sealed()
    except NotTheWarehouse:
        return {}  # they are verified where the lake is
