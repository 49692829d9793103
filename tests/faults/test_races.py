"""Two and three compactors at once, with maintenance, while segments go on being sealed.

Attacked: the lock of the lake, by real processes that all start at the same moment; and what stands
when there is no such lock (a file system without flock): Delta's check of conflicts on the series'
watermarks. Must hold: after every round exactly the events that were written, each once; one winner
for each segment; no segment deleted that is not in the lake; `check` finds nothing.
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

from etl import check

ROUNDS = rounds(25, 500)  # of each of two and three
SERIES = ("h-w0-aa", "h-w1-bb")
RACER = Path(__file__).with_name("racer.py")
ROOT = Path(__file__).resolve().parents[2]


class Racers:
    """Processes that wait for the start."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def race(self, *jobs: str) -> list[dict[str, Any]]:
        """Tell each one its job at the same moment; what they answer."""
        for process, job in zip(self._processes, jobs, strict=True):
            assert process.stdin
            process.stdin.write(f"{job}\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in self._processes]  # type: ignore[union-attr]


@contextmanager
def racers(count: int, data: Path, *options: str) -> Iterator[Racers]:
    """So many processes on one data folder, gone at the end."""
    command = [sys.executable, str(RACER), str(data), *options]
    pipe = subprocess.PIPE
    with ExitStack() as started:
        processes = []
        for _ in range(count):
            process = subprocess.Popen(
                command, cwd=ROOT, env=None, stdin=pipe, stdout=pipe, text=True
            )
            started.enter_context(process)
            started.callback(process.kill)
            processes.append(process)
        yield Racers(processes)


def seal_some(shop: Shop, number: int) -> None:
    """In each series a segment of two events and a rejected payload; one event is in both."""
    for series in SERIES:
        shop.seal(
            event(number, event_id=f"{number}-{series}"),
            event(number + 0.1, event_id=f"both-{number}", dedupe_key=f"id:{number}"),
            rejection(number),
            series=series,
        )


@pytest.mark.parametrize("jobs", [2, 3])
def test_racing_compactors_count_every_event_once(jobs: int, tmp_path: Path) -> None:
    """The last of three maintains; all of them wait for the one lock."""
    shop = Shop(tmp_path / "data")
    names = ("compact", "compact", "maintain")[:jobs]
    total = {"rows": 0, "duplicates": 0, "segments": 0}
    with figures(f"{jobs} racing compactors") as counts, racers(jobs, shop.data) as crew:
        for number in range(1, ROUNDS + 1):
            seal_some(shop, number)
            answers = crew.race(*names)
            assert [answer for answer in answers if "error" in answer] == []
            for answer in answers[:2]:
                for key in total:
                    total[key] += answer[key]
            assert total == {"rows": 3 * number, "duplicates": number, "segments": 2 * number}
            assert_exact(shop, number)
        counts["rounds"] = ROUNDS
    assert check.run(shop.data).problems == []


@pytest.mark.parametrize("jobs", [2, 3])
def test_without_the_lock_the_conflict_check_stands(jobs: int, tmp_path: Path) -> None:
    """One may fail, or lose: then its next run does what is left. Nothing is counted twice."""
    shop = Shop(tmp_path / "data")
    names = ("compact", "compact", "maintain")[:jobs]
    lost = 0
    with (
        figures(f"{jobs} racing compactors without a lock") as counts,
        racers(jobs, shop.data, "--no-flock") as crew,
    ):
        for number in range(1, ROUNDS + 1):
            seal_some(shop, number)
            answers = crew.race(*names)
            lost += sum("error" in answer or not answer.get("segments", 1) for answer in answers)
            assert_exact(shop, number)
        counts |= {"rounds": ROUNDS, "lost": lost}
    shop.compact()
    assert_exact(shop, ROUNDS)
    assert check.run(shop.data).problems == []
    assert lost, "they never met"


def assert_exact(shop: Shop, number: int) -> None:
    """The live view holds what was written in so many rounds, and nothing twice."""
    facts = shop.query(
        "SELECT count(*), count(DISTINCT event_id), count(DISTINCT (series, seq)) FROM events"
    )
    assert facts == [(3 * number,) * 3]
    assert shop.query("SELECT count(*) FROM rejected") == [(2 * number,)]
