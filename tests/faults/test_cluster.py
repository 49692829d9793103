"""A cluster whose links, parts and clocks fail, against the clients' own ledger.

Three collectors ship to one bucket, in which two warehouses keep one lake. Links drop packets one
way, parts are killed or stop and go on, clocks are a minute off, and a compactor goes on
after its standby took over. Events that go unanswered are sent again, to whichever collector
comes next. All the while, no number in a report falls. In the end, everything has healed by itself:
every acked event is in the lake once, and none that was not sent. Of each transaction the signed
sale counts, whichever collector took it, and whichever the other claim of it. Skipped where
namespaces are not permitted.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from cluster import LAKE, WAREHOUSES, Cluster, running
from cluster_faults import Fault, Story, cut, faults
from ledger import Load, disagreements, outranked
from namespaces import require_namespaces
from scale import figures, is_soak, rounds
from shims import compiled

Found = TypeVar("Found")

pytestmark = pytest.mark.timeout(0 if is_soak() else 900)
"""Its own deadlines add up to more than the time of other tests."""

SEED = 20261130
ACKS_PER_FAULT = 150
LONG_FORM_ACKS = (1, 150, 150, 1500)
CLIENT_PAUSE_S = 0.1
CLIENT_TIMEOUT_S = 2.0
READ_EVERY_S = 2.0
HEALED_S, POLL_S = 180.0, 0.5
_SHOWN_MAX = 50
_ROWS_OF_A_LAKE = Path(__file__).with_name("rows_of_a_lake.py")
SHORT = (
    cut("collector-1", "storage"),
    cut("storage", "collector-2"),
    cut("storage", "warehouse-1"),
    cut("valkey", "collector-3"),
    cut("collector-3", "clients"),
    "kill storage",
    "kill valkey",
    "kill postgresql",
    "kill collector-2",
    "kill warehouse-1",
    "pause postgresql",
    "clock of collector-1 +60 s",
    "clock of collector-3 -60 s",
    "clock of warehouse-2 -60 s",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require_namespaces()
    source = Path(__file__).parents[1] / "system" / "clockshim.c"
    shim = compiled(source, tmp_path_factory.mktemp("shim"))
    with running(tmp_path_factory.mktemp("cluster"), shim) as made:
        yield made


@pytest.fixture
def story(cluster: Cluster) -> Iterator[Story]:
    """The faults of a test; pytest shows them if it fails, and what every part logged."""
    told = Story()
    yield told
    print(*told.lines, cluster.tails(), sep="\n")


def test_what_was_acked_is_stored_once(cluster: Cluster, story: Story) -> None:
    """Whatever fails meanwhile: one after another, and in the long form two at once."""
    load = Load(cluster.secret, pause_s=CLIENT_PAUSE_S, timeout_s=CLIENT_TIMEOUT_S)
    shown = Shown(cluster, load)
    with figures("faults of a cluster") as counts:
        with shown.being_read():
            with cluster.under(load):
                done, struck = strike_all(cluster, load, story)
            counts.update(done)
            all_was_shown = until(shown.show_all, bool)
        counts["outranked"] = see_all_in_the_lake(cluster, load)
        assert all_was_shown, "a report lacked what is in the lake by now"
        assert cluster.crashed() == [], "an error that nobody expected"
        counts.update({"acked": len(load.acked), "unanswered": len(load.unanswered)})
    assert load.unanswered, "nothing failed with a request in its hands"
    assert load.sent_again
    assert counts["outranked"], "no claim of a signed sale was there to be outranked"
    assert struck == set(faults(cluster) if is_soak() else SHORT), "a fault was left out"


def strike_all(cluster: Cluster, load: Load, story: Story) -> tuple[Counter[str], set[str]]:
    """Let everything of the plan fail, then the compactor be replaced.

    Return how often what was done, faults also by their kinds, and the names of the faults.
    """
    chance, done, struck = random.Random(SEED), Counter[str](), set[str]()
    load.wait_for_acks(ACKS_PER_FAULT)
    for strike in plan(cluster, chance):
        strike_at(load, story, strike)
        struck |= {fault.name for fault in strike.faults}
        done["faults"] += len(strike.faults)
        done.update(fault.kind for fault in strike.faults)
    for _ in range(rounds(1, 30)):
        zombie = cluster.next_compactor()
        load.wait_for_acks(chance.randrange(ACKS_PER_FAULT))  # it is somewhere in its next run
        replace(zombie, cluster, story)
        done["replaced_compactors"] += 1
    load.wait_for_acks(ACKS_PER_FAULT)
    done["different_faults"] = len(struck)
    return done, struck


def replace(zombie: str, cluster: Cluster, story: Story) -> None:
    """Stop a compactor until the standby, by a clock that is ahead, has compacted."""
    known = faults(cluster)
    [standby] = (name for name in WAREHOUSES if name != zombie)
    with story.of(known[f"pause {zombie}"]), story.of(known[f"clock of {standby} +60 s"]):
        cluster.next_compactor([standby])


@dataclass(frozen=True, slots=True)
class Strike:
    """Faults that overlap: each lasts for so many acks, and for those of the later ones."""

    faults: Sequence[Fault]
    acks: int = ACKS_PER_FAULT


def strike_at(load: Load, story: Story, strike: Strike) -> None:
    """Let the faults begin one after another, and end in the opposite order."""
    with ExitStack() as stack:
        for fault in strike.faults:
            stack.enter_context(story.of(fault))
            load.wait_for_acks(strike.acks)


def plan(cluster: Cluster, chance: random.Random) -> Iterator[Strike]:
    """The strikes in their order; the faults of one have different subjects.

    The long form has as many as its scale says, or more, until every fault was in one.
    """
    known = faults(cluster)
    for name in chance.sample(SHORT, len(SHORT)):
        yield Strike([known[name]])
    deck: list[Fault] = []  # shuffled again when all have been struck
    missing, number = set(known if is_soak() else ()), 0
    while missing or number < rounds(0, 300):
        while len(deck) < 2:
            deck = chance.sample(list(known.values()), len(known)) + deck
        struck = [deck.pop()]
        if deck[-1].subject != struck[0].subject:
            struck.append(deck.pop())
        missing -= {fault.name for fault in struck}
        number += 1
        yield Strike(struck, chance.choice(LONG_FORM_ACKS))


@dataclass(slots=True)
class Shown:
    """The numbers of events that the warehouses have shown, which never fall."""

    cluster: Cluster
    load: Load
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAREHOUSES, 0))

    @contextmanager
    def being_read(self) -> Iterator[None]:
        """Ask every warehouse again and again, until this is left."""
        over = threading.Event()
        with ThreadPoolExecutor(len(WAREHOUSES)) as pool:
            reading = [pool.submit(self._read, name, over) for name in WAREHOUSES]
            try:
                yield
            finally:
                over.set()
        for each in reading:
            each.result()

    def _read(self, name: str, over: threading.Event) -> None:
        while not over.wait(READ_EVERY_S):
            count = self.cluster.counted(name)
            if count is not None:
                assert self.counts[name] <= count <= self.load.sent, (name, count, self.counts)
                self.counts[name] = count

    def show_all(self) -> bool:
        """Whether every warehouse has shown as many events as were acked, and are not outranked."""
        below = outranked(range(self.load.sent), self.load)
        return min(self.counts.values()) >= len(self.load.acked.keys() - below)


def see_all_in_the_lake(cluster: Cluster, load: Load) -> int:
    """After a drain of the collectors; the warehouses show the lake, and their data is sound.

    Return how many claims of a sale are in it that a signed one outranks.
    """
    for collector in cluster.collectors:
        assert collector.stop() == 0
        if "all_is_shipped=true" not in collector.log():
            assert collector.command("ship").returncode == 0
    rows = until(in_the_lake, lambda rows: not disagreements(counting(rows, load), load))
    counted = counting(rows, load)
    assert (found := disagreements(counted, load)) == [], "\n".join(found[:_SHOWN_MAX])
    lost = load.acked.keys() - dict(rows).keys()
    assert not lost, "an outranked sale is lost, too"
    counts = until(lambda: {cluster.counted(name) for name in WAREHOUSES}, {len(counted)}.__eq__)
    assert counts == {len(counted)}
    sales = [number for number, _ in counted if load.is_sale(number)]  # which is its value
    assert [cluster.revenue(name) for name in WAREHOUSES] == [[(len(sales), sum(sales))]] * 2
    for warehouse in cluster.warehouses:
        assert warehouse.stop() == 0
        done = warehouse.command("check")
        assert done.returncode == 0, done.stdout + done.stderr
    return len(rows) - len(counted)


def counting(rows: list[tuple[int, str]], load: Load) -> list[tuple[int, str]]:
    """The rows without those that a signed sale among them outranks."""
    below = outranked((number for number, _ in rows), load)
    return [row for row in rows if row[0] not in below]


def until(ask: Callable[[], Found], is_enough: Callable[[Found], bool]) -> Found:
    """Ask until the answer is enough, or for HEALED_S; the last answer."""
    deadline_s = time.monotonic() + HEALED_S
    while not is_enough(found := ask()) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return found


def in_the_lake() -> list[tuple[int, str]]:
    """(number, event id) of every row of the lake, read without beaconlog; none if it cannot be."""
    line = [sys.executable, _ROWS_OF_A_LAKE, f"{LAKE}/events"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    if done.returncode:
        print("the lake was not read:", done.stderr)
        return []
    return [(number, event_id) for number, event_id in json.loads(done.stdout)]
