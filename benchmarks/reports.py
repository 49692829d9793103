"""Reports over lakes that grow, over a year, and while events pour in.

One shop asks, and the platform. The shop has as many events in every lake: its time should not grow
with the events of others. Milliseconds from the question to the answer, with the opening of the
live view. Questions take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import backlog, directory, lakes, users
from benchmarks.backlog import Backlog
from benchmarks.lakes import SHOP, Lake
from benchmarks.rounds import BenchmarkFailed, interleaved, markdown, tell
from benchmarks.size import Size, millions, run_alone
from etl.lake.live.view import LiveView, open_directory
from etl.reports import Question, answer

SHOP_EVENTS = 50_000
PERIODS = ((50_000_000, 30), (14_600_000, 365))
"""The events of each lake, and its days; each day is one file."""
TAIL_EVENTS = 600_000
TAIL_LAKE_EVENTS = 1_000_000
TAIL_SHOP = 50
"""A shop of the tail: the fiftieth, with about 0.2 % of the events."""
SEGMENT_EVENTS = 5_000
NEW_EVENTS = 500
REPORTS = ("summary", "timeseries", "funnel", "top-products", "revenue", "recent")


def run(size: Size) -> str:
    """Return the tables: one per lake, and one of a tail."""
    tables = [
        _table(Lake(size.events(events), days=days, of_shop=size.events(SHOP_EVENTS)), size)
        for events, days in PERIODS
    ]
    return "\n".join([*tables, _tail_table(size), _names_table(size)])


def _table(lake: Lake, size: Size) -> str:
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        lakes.fill(data, lake)
        view, grow = LiveView(data), new_segment(data, NEW_EVENTS)
        asked = {"one shop": str(SHOP), "all shops": None}

        def measure(name: str, tenant: str | None) -> float:
            grow()
            return answer_ms(view, name, tenant)

        measured = interleaved(
            {
                f"{name} of {whose}": partial(measure, name, tenant)
                for name in REPORTS
                for whose, tenant in asked.items()
            },
            size.rounds,
        )
    rows = [
        (name, *(measured.results[f"{name} of {whose}"].figure.text() for whose in asked))
        for name in REPORTS
    ]
    title = f"Reports over {millions(lake.events)} events of {lake.days} days"
    intro = (
        f"One file per day; one shop has {lake.of_shop:,} events. Before each question a new "
        f"segment of {NEW_EVENTS} events is sealed, so none reads what was kept for another.\n\n"
    )
    return f"## {title}\n\n{intro}" + markdown(("ms", *asked), rows) + measured.note()


def answer_ms(view: LiveView, name: str, tenant: str | None) -> float:
    """Return the milliseconds of a report of one shop or all, with the opening of the live view."""
    question = Question(name, {"tenant": tenant} if tenant else {})
    began_s = time.perf_counter()
    rows = answer(view, question).rows
    took_ms = 1000 * (time.perf_counter() - began_s)
    if not rows:
        raise BenchmarkFailed(f"the report {name} has no rows for {tenant or 'all'}")
    return took_ms


def _tail_table(size: Size) -> str:
    """Return the table of one shop's reports over everybody's tail, which grows by a segment."""
    events = size.events(TAIL_EVENTS)
    tell(f"a tail of {events:,} events")
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        day_before = backlog.START.date() - timedelta(days=1)
        lakes.fill(data, Lake(size.events(TAIL_LAKE_EVENTS), first_day=day_before, days=1))
        backlog.fill(data, Backlog(events, lasts=timedelta(minutes=10)))
        view, grow = LiveView(data), new_segment(data, SEGMENT_EVENTS)

        def measure(name: str) -> float:
            grow()
            return answer_ms(view, name, str(TAIL_SHOP))

        measured = interleaved({name: partial(measure, name) for name in REPORTS}, size.rounds)
    rows = [(name, result.figure.text()) for name, result in measured.results.items()]
    return (
        f"## Reports of one shop, with {events:,} events of all shops in the tail\n\n"
        f"Before each question a new segment of {SEGMENT_EVENTS:,} events is sealed.\n\n"
        + markdown(("ms", "one shop"), rows)
        + measured.note()
    )


def _names_table(size: Size) -> str:
    """Return the table of the names that a process reads again every few seconds."""
    data = directory.prepared().data

    def read_ms() -> float:
        view = LiveView(data, open_directory(data, None))
        began_s = time.perf_counter()
        view.names()
        return 1000 * (time.perf_counter() - began_s)

    measured = interleaved({"reading all names": read_ms}, size.rounds)
    rows = [(name, result.figure.text()) for name, result in measured.results.items()]
    title = f"## Names of {users.SHOPS + 1:,} shops and {directory.PRODUCTS:,} products\n\n"
    intro = (
        "Read before a report if the last names are older than 5 s; not in the tables above.\n\n"
    )
    return title + intro + markdown(("ms", "directory"), rows) + measured.note()


def new_segment(data: Path, events: int) -> Callable[[], None]:
    """Return a function that adds a sealed segment, received later than all before it."""
    numbers = count(1)

    def grow() -> None:
        start = backlog.START + timedelta(hours=1, minutes=next(numbers))
        backlog.fill(data, Backlog(events, start, timedelta(seconds=2), series=1))

    return grow


if __name__ == "__main__":
    run_alone(__doc__, run)
