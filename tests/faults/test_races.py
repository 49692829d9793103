"""Two and three compactors at once, with maintenance, while segments go on being sealed.

Attacked: the lock of the lake, by real processes that all start at the same moment; and what stands
when there is no such lock (a file system without flock): Delta's check of conflicts on the series'
watermarks. Must hold: during a round and after it the live view has exactly the events that were
written, each once; each segment has one winner; no segment is deleted that is not in the lake;
`check` finds nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from log_tools import Shop, event, rejection
from scale import figures, rounds

from etl import durable
from etl.lake import delta_log
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS, TABLES
from etl.upkeep import check

ROUNDS = rounds(10, 300)  # of each crew, with the lock and without
SERIES = ("h-w0-aa", "h-w1-bb")
CREWS = (
    ("compact", "compact"),
    ("compact", "compact", "compact", "maintain"),
)
RACER = Path(__file__).with_name("racer.py")
ROOT = Path(__file__).resolve().parents[2]

Answers = list[dict[str, Any]]


class Racers:
    """Processes that wait for the start."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def start(self, *jobs: str) -> None:
        """Tell each one its job at the same moment."""
        for process, job in zip(self._processes, jobs, strict=True):
            assert process.stdin
            process.stdin.write(f"{job}\n")
            process.stdin.flush()

    def answers(self) -> Answers:
        """Return their results once all of them have ended."""
        found = []
        for process in self._processes:
            assert process.stdout
            line = process.stdout.readline()
            assert line, f"a racer ended with {process.wait()}"
            found.append(json.loads(line))
        return found


@contextmanager
def racers(count: int, data: Path, *options: str) -> Iterator[Racers]:
    """So many processes on one data folder, gone at the end."""
    command = [sys.executable, str(RACER), str(data), *options]
    pipe = subprocess.PIPE
    with ExitStack() as started:
        processes = []
        for _ in range(count):
            process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
            started.enter_context(process)
            started.callback(process.kill)
            processes.append(process)
        yield Racers(processes)


def seal_some(shop: Shop, number: int, *, in_series: str) -> None:
    """A segment of two events and a rejected payload; one event is in the other series too."""
    shop.layout.prepare()
    with durable.locked(shop.layout.log_lock):  # its folder may go when it holds nothing
        shop.seal(
            event(number, event_id=f"{number}-{in_series}"),
            event(number + 0.1, event_id=f"both-{number}", dedupe_key=f"id:{number}"),
            rejection(number + 0.2),
            series=in_series,
        )


def race(shop: Shop, crew: Racers, jobs: tuple[str, ...], number: int) -> Answers:
    """One round: a segment before it and one in the midst of it, in turns of the two series."""
    first, second = SERIES if number % 2 else SERIES[::-1]
    seal_some(shop, number, in_series=first)
    crew.start(*jobs)
    assert_exact(shop, events=3 * number - 1, rejected=2 * number - 1)
    seal_some(shop, number, in_series=second)
    assert_nothing_is_missing(shop)
    answers = crew.answers()
    assert_nothing_is_missing(shop)
    assert_exact(shop, events=3 * number, rejected=2 * number)
    return answers


@pytest.mark.parametrize("jobs", CREWS, ids="-".join)
def test_racing_compactors_count_every_event_once(jobs: tuple[str, ...], tmp_path: Path) -> None:
    """All of them wait for the one lock, so none fails; what they say they did adds up."""
    shop = Shop(tmp_path / "data")
    answers = []
    name = f"{jobs.count('compact')} racing compactors"
    with figures(name) as counts, racers(len(jobs), shop.data) as crew:
        for number in range(1, ROUNDS + 1):
            answers += race(shop, crew, jobs, number)
        crew.start(*jobs)  # for what was sealed too late for the last round
        answers += crew.answers()
        counts |= {"rounds": ROUNDS, "commits": len(winners(shop, EVENTS.name))}
    assert [answer for answer in answers if "error" in answer] == []
    total = {
        key: sum(answer.get(key, 0) for answer in answers)
        for key in ("rows", "duplicates", "segments")
    }
    assert total == {"rows": 3 * ROUNDS, "duplicates": ROUNDS, "segments": 2 * ROUNDS}
    assert_all_is_in_the_lake(shop)
    if "maintain" in jobs:
        assert sum(answer.get("merged_files", 0) for answer in answers)


@pytest.mark.parametrize("jobs", CREWS, ids="-".join)
def test_without_the_lock_the_conflict_check_stands(jobs: tuple[str, ...], tmp_path: Path) -> None:
    """One may fail, or lose: then its next run does what is left. Nothing is counted twice."""
    shop = Shop(tmp_path / "data")
    lost = 0
    name = f"{jobs.count('compact')} racing compactors without a lock"
    with figures(name) as counts, racers(len(jobs), shop.data, "--no-flock") as crew:
        for number in range(1, ROUNDS + 1):
            answers = race(shop, crew, jobs, number)
            lost += sum("error" in answer or not answer.get("segments", 1) for answer in answers)
        counts |= {"rounds": ROUNDS, "lost": lost, "commits": len(winners(shop, EVENTS.name))}
    shop.compact()
    assert_exact(shop, events=3 * ROUNDS, rejected=2 * ROUNDS)
    assert_all_is_in_the_lake(shop)
    assert lost, "they never met"


def assert_exact(shop: Shop, *, events: int, rejected: int) -> None:
    """The live view holds what was written, and nothing twice."""
    facts = shop.query(
        "SELECT count(*), count(DISTINCT event_id), count(DISTINCT (series, seq)) FROM events"
    )
    assert facts == [(events,) * 3]
    facts = shop.query("SELECT count(*), count(DISTINCT (series, seq)) FROM rejected")
    assert facts == [(rejected,) * 2]


def assert_nothing_is_missing(shop: Shop) -> None:
    """A segment that is not on the disk is in every table. The disk is read first."""
    on_disk = {series: {item.number for item in shop.sealed(series)} for series in SERIES}
    snapshots = [Snapshot.load(shop.layout.table(table.name), table) for table in TABLES]
    for series, numbers in on_disk.items():
        gone = set(range(1, max(numbers, default=0))) - numbers
        held = min(snapshot.watermark(series) for snapshot in snapshots)
        assert all(number <= held for number in gone), (series, sorted(gone), held)


def assert_all_is_in_the_lake(shop: Shop) -> None:
    """Every segment, each by one commit; nothing is left for the live view to add."""
    for table in TABLES:
        committed = winners(shop, table.name)
        for series in SERIES:
            marks = [mark[series] for mark in committed if series in mark]
            assert marks == sorted(set(marks)), f"{series} was committed twice: {marks}"
            assert marks[-1] == ROUNDS
    assert shop.query("SELECT tail_events FROM snapshot") == [(0,)]
    assert check.run(shop.data).problems == []


def winners(shop: Shop, table: str) -> list[dict[str, int]]:
    """The watermarks that each commit of a compaction moved, in the order of the commits."""
    moved = []
    for path in sorted((shop.layout.table(table) / delta_log.FOLDER).glob("*.json")):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        marks = {one["txn"]["appId"]: one["txn"]["version"] for one in actions if "txn" in one}
        if marks.keys() & set(SERIES):
            moved.append(marks)
    return moved
