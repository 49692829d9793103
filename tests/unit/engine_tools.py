"""Tools of the tests of the engines: a history of a shop's log, and the tables that it becomes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb
from log_tools import DAY_S, Shop, at, event, rejection

from etl.lake import duck
from etl.lake.compaction import CompactionPlan, CompactionResult
from etl.lake.engines import opening, tasks
from etl.lake.engines.tasks import PassFacts
from etl.lake.engines.workers import Workers
from etl.lake.errors import LakeError
from etl.lake.snapshot import SIGNED, Snapshot, lines_of
from etl.lake.tables import TABLES
from etl.log import rewriting

T = TypeVar("T")
R = TypeVar("R")

SERIES = ("h-w0-aa", "h-w1-bb", "i'm-w0-cc")
IN_A_BUCKET = SERIES[:2]
"""Those with a name as machines give it: no other is taken from a bucket."""
TENANTS = (1, 2, 6, 8, 2**53 - 1)
SEGMENTS, LINES = 3, 12
ROUNDS_AT = (0, 1, 40)
"""The days on which rounds begin: ids count for a day, transactions for 30."""


@dataclass
class InlineWorkers:
    """Workers in this process. `runs`: how often each task runs; its last result counts."""

    parallel: int
    runs: int = 1
    tasks: list[object] = field(default_factory=list)

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Run each task in turn."""
        self.tasks += tasks
        return [[function(task) for _ in range(self.runs)][-1] for task in tasks]


def compact_by(
    shop: Shop, workers: Workers, plan: CompactionPlan | None = None
) -> CompactionResult:
    """One run by workers."""
    return shop.compact(opening.by_workers(plan or CompactionPlan(), workers))


def seal_round(
    shop: Shop, chance: random.Random, number: int, written: Sequence[str] = SERIES
) -> None:
    """Seal segments of every series, on both sides of midnight and overlapping in time.

    They repeat keys of one another and of earlier rounds; between the events lie rejected payloads
    and erased lines.
    """
    begins_s = ROUNDS_AT[number] * DAY_S
    for series in written:
        moments = sorted(begins_s + chance.random() * DAY_S for _ in range(SEGMENTS * LINES))
        lines = [_line(chance, after_s) for after_s in moments]
        for first in range(0, len(lines), LINES):
            shop.seal(*lines[first : first + LINES], series=series)


def _line(chance: random.Random, after_s: float) -> bytes:
    kind = chance.random()
    if kind < 0.1:
        return rejection(after_s, body=f'{{"tenant_id":{chance.choice(TENANTS)}}}')
    if kind < 0.15:
        return rewriting.erased(at(after_s))
    prefix, number = chance.choice(("id:", "tx:", "stx:", None)), chance.randrange(15)
    return event(
        after_s,
        event_id=f"{number}" if prefix == "id:" else f"e{after_s:f}",
        tenant_id=chance.choice(TENANTS),
        dedupe_key=prefix and f"{prefix}{number}",
        signed=prefix == "stx:" or None,
        value=chance.randrange(1000),
        bot=chance.random() < 0.1,
        metadata={"a": ["é\n", chance.random()]},
    )


def rows(shop: Shop) -> dict[str, list[tuple]]:
    """The rows of every table as text, with the columns that files store, in a fixed order."""
    found = {}
    with duckdb.connect() as con:
        for table in TABLES:
            snapshot = Snapshot.load(shop.layout.table(table.name), table)
            stored = snapshot.stored_relation(snapshot.files)
            found[table.name] = con.execute(
                f"SELECT COLUMNS(*)::VARCHAR FROM {stored} ORDER BY ALL"
            ).fetchall()
    return found


def watermarks(shop: Shop) -> dict[tuple[str, str], int]:
    """The watermarks of every table."""
    snapshots = [Snapshot.load(shop.layout.table(table.name), table) for table in TABLES]
    names = [SIGNED, *(name for series in SERIES for name in (series, lines_of(series)))]
    return {(one.table.name, name): one.watermark(name) for one in snapshots for name in names}


def failing(text: str) -> None:
    """A task that raises."""
    raise LakeError(text)


def fails_beside(paths: tuple[Path, Path | None]) -> None:
    """A task that goes on for half a second after another has begun to fail; the other."""
    started, ended = paths
    if ended is None:
        while not started.exists():
            threading.Event().wait(0.01)
        raise FileNotFoundError("no such file")
    started.touch()
    threading.Event().wait(0.5)
    ended.touch()


def draws_progress(folder: Path) -> bool:
    """Whether DuckDB draws the progress of a task's statements on stdout."""
    with tasks.database(PassFacts(folder, 1, 1 << 27)) as con:
        return bool(duck.one_value(con, "SELECT current_setting('enable_progress_bar')"))
