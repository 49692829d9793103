"""Thirty days of a commit a minute: commit time, load time and the number of files stay flat.

Attacked: growth. A commit a minute makes 43 200 files and as many entries of the lake's log in 30
days. Simulated: days of hours of commits, each hour followed by a run of maintenance, each day by
one that lets everything expire which that day left behind (a rolling day cannot be simulated: the
table's log has the time of the real clock). Must hold: at the end of each day as many files as at
the end of the first, and every event counted. The times are printed, not asserted.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from log_tools import DAY_S, Shop, event
from scale import figures, is_soak, rounds

from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS
from etl.upkeep import check, maintenance
from etl.upkeep.maintenance import MaintenancePlan

START_S = 1_795_407_000.0
HOURS = 24 if is_soak() else 2
COMMITS_AN_HOUR = 60 if is_soak() else 15


@dataclass(frozen=True)
class DayEnd:
    """The state at the end of a day; times are medians of its last hour."""

    commit_ms: float
    load_ms: float
    files_of_other_days: int
    log_entries: int


def test_a_month_of_minutely_commits_stays_flat(tmp_path: Path) -> None:
    """Nothing that a day leaves behind accumulates."""
    shop = Shop(tmp_path / "data")
    days = rounds(3, 30)
    with figures("thirty days of minutely commits") as counts:
        ends = [a_day(shop, day) for day in range(days)]
        counts |= {
            "days": days,
            "commits": days * HOURS * COMMITS_AN_HOUR,
            "first_day_commit_ms": round(ends[0].commit_ms),
            "last_day_commit_ms": round(ends[-1].commit_ms),
            "first_day_load_ms": round(ends[0].load_ms),
            "last_day_load_ms": round(ends[-1].load_ms),
            "files_a_past_day": ends[-1].files_of_other_days // max(1, days - 1),
            "log_entries": ends[-1].log_entries,
        }
    assert [end.files_of_other_days for end in ends] == list(range(days))
    assert len({end.log_entries for end in ends[1:]}) == 1
    assert shop.query("SELECT count(*) FROM events") == [(days * HOURS * COMMITS_AN_HOUR,)]
    assert check.run(shop.data).problems == []


def a_day(shop: Shop, day: int) -> DayEnd:
    """A day's commits, with maintenance every hour, and what it ends with."""
    for hour in range(HOURS):
        times = [a_commit(shop, day, hour, minute) for minute in range(COMMITS_AN_HOUR)]
        maintenance.run(shop.data, MaintenancePlan(), START_S + day * DAY_S)
    loads = [timed_load(shop) for _ in range(10)]
    maintenance.run(
        shop.data, MaintenancePlan(snapshot_retention_hours=0), time.time() + day * DAY_S
    )
    table = shop.layout.table(EVENTS.name)
    today = (shop.query("SELECT max(event_date)::VARCHAR FROM events"))[0][0]
    files = [file for file in Snapshot.load(table, EVENTS).listed() if file.event_date != today]
    entries = len(list((table / "_delta_log").iterdir()))
    return DayEnd(statistics.median(times), statistics.median(loads), len(files), entries)


def a_commit(shop: Shop, day: int, hour: int, minute: int) -> float:
    """One sealed segment compacted; the milliseconds of the compaction."""
    shop.seal(event(day * DAY_S + hour * 600 + minute))
    began_s = time.perf_counter()
    shop.compact(after_s=1_000.0)
    return (time.perf_counter() - began_s) * 1000


def timed_load(shop: Shop) -> float:
    """The milliseconds in which the newest snapshot is loaded."""
    began_s = time.perf_counter()
    Snapshot.load(shop.layout.table(EVENTS.name), EVENTS)
    return (time.perf_counter() - began_s) * 1000
