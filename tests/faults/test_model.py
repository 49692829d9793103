"""The log and the lake as a model: writers, recovery and compaction on a disk that forgets.

Attacked: every order of starting, committing, sealing, draining, recovering, compacting, dying
before any call that changes the disk, and power cuts, after which any subset survives of the writes
and folder entries that were not synced (see `simulated_disk`). Must hold, whenever somebody looks:

- acked ⊆ recovered ⊆ sent, each line once, in order, under the number it was acked with;
- a sealed segment never comes back with other content;
- a power cut is never taken for corruption, and what recovery reports is what it did;
- the lake opens; with the segments it holds every acked event once, also one that was sent again
  because its ack was lost; of a sale that was told signed and unsigned the signed one counts, and
  the other is a duplicate; the books of every commit balance, and `check` finds nothing.

Two machines. `Log` is writers and recovery: 250 runs of 50 steps in the short form, 5 000 of 100 in
the long one. `Lake` is the same with compaction and maintenance, which take a hundred times longer:
12 runs of 50 steps, and 500 of 100. The short runs are the same every time; the long ones are
random, and there a failure is shrunk, which takes minutes.
"""

from __future__ import annotations

import random
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from log_tools import START, Killed, event, rejection
from scale import figures, is_soak, rounds
from simulated_disk import SimulatedDisk, close

from etl.lake import compaction
from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.log import claiming, recovery, segments, verification
from etl.log import format as log_format
from etl.log.claiming import Claim
from etl.log.format import Line
from etl.log.recovery import Recovered
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position, Sealed
from etl.upkeep import check, maintenance

SLOTS = (0, 1)
NEVER = 1 << 30
APART_S = 300.0  # between two events, so that a run may reach the next day
PAST_S = 60 * 86_400.0  # before START is the first one: none is ahead of the real clock
MEMORY = Path("/dev/shm")

picks = st.integers(0, 1)
batches = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=4), min_size=1, max_size=4)
chances = st.randoms(use_true_random=False)


def deaths(calls_max: int) -> st.SearchStrategy[int | None]:
    """Before which call a process dies; of those it makes no more than `calls_max`, if any."""
    return st.integers(1, 6 * calls_max)


class Worker:
    """A process that writes a series: its descriptors, and the number of its next line.

    `unsealed_us` are the receipts that its next promise must not pass.
    """

    def __init__(self, claim: Claim, fds: set[int]) -> None:
        self.claim, self.fds = claim, fds
        self.next_seq = 1
        self.unsealed_us: list[int] = []
        self.writer = SegmentWriter(
            claim.folder, Position(), segment_bytes_max=1 << 20, disk_free_bytes_min=0
        )

    def seal(self, now_us: int) -> None:
        """Seal, and promise what that allows."""
        self.writer.seal()
        self.unsealed_us.clear()
        self.publish(now_us)

    def publish(self, now_us: int) -> None:
        self.writer.publish(min([now_us, *self.unsealed_us]))


def told_of(name: str) -> dict[str, object]:
    """The fields of a record that follow from the name of what it is about."""
    kind, _, transaction = name.partition("-")
    if not transaction:
        return {"dedupe_key": f"id:{name}"}
    sale = {"endpoint": "conversion", "type": "purchase", "transaction_id": transaction}
    if kind == "signed":
        return {**sale, "dedupe_key": f"stx:{transaction}", "signed": True, "value": 280}
    return {**sale, "dedupe_key": f"tx:{transaction}", "value": 1}


def outranked(names: Iterable[str]) -> set[str]:
    """The claimed sales that the signed ones among these outrank."""
    return {name.replace("signed", "claimed") for name in names if name.startswith("signed")}


@dataclass
class Seen:
    """A sealed segment as it was first seen."""

    name: str
    content: bytes
    lines: list[Line]


@dataclass
class Clients:
    """The events that were sent, and the ordinals under which they were acked.

    `names` has the name of what each record is about: an event or a rejected payload. One that was
    not acked is sent again now and then, as a record of its own. Every sale is told twice, signed
    and only claimed, in turns one or the other first.
    """

    names: dict[bytes, str] = field(default_factory=dict)
    sales: int = 0
    acked: dict[tuple[str, int], bytes] = field(default_factory=dict)
    unacked: list[str] = field(default_factory=list)

    @property
    def now_us(self) -> int:
        """The time at which the next record is received."""
        return round((START.timestamp() + len(self.names) * APART_S - PAST_S) * 1_000_000)

    def send(self, size: int) -> bytes:
        attempt = len(self.names)
        after_s = attempt * APART_S - PAST_S
        if size % 7 == 6:
            name = f"r{attempt}"
            new = rejection(after_s, reason=name)
        else:
            name = self._next_name(attempt, size)
            word = {"attempt": attempt, "word": "ñ" * size}
            new = event(after_s, event_id=name, metadata=word, **told_of(name))
            self.unacked.append(name)
        self.names[new] = name
        return new

    def _next_name(self, attempt: int, size: int) -> str:
        if self.unacked and size % 3 == 0:
            return self.unacked.pop(0)
        if size % 7 != 5:
            return f"e{attempt}"
        number, self.sales = self.sales, self.sales + 1
        transaction = number // 2
        return f"{'signed' if (number + transaction) % 2 else 'claimed'}-{transaction}"

    def ack(self, worker: Worker, batch: list[bytes]) -> None:
        """They have their receipt."""
        for payload in batch:
            self.acked[worker.claim.folder.name, worker.next_seq] = payload
            worker.next_seq += 1
        names = {self.names[payload] for payload in batch}
        self.unacked = [name for name in self.unacked if name not in names]

    @property
    def acked_names(self) -> set[str]:
        return {self.names[payload] for payload in self.acked.values()}


class Log(RuleBasedStateMachine):
    """Writers of two slots, recovery, deaths and power cuts."""

    def __init__(self, base: Path, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts
        self.folder = Path(tempfile.mkdtemp(dir=base))
        self.disk = SimulatedDisk(self.folder)
        self.workers: dict[int, Worker] = {}
        self.clients = Clients()
        self.seen: dict[tuple[str, int], Seen] = {}
        self.incarnations = 0
        self.is_synced = self.compacted = False

    @property
    def layout(self) -> Layout:
        return Layout(self.disk.root)

    # -- what happens -------------------------------------------------------------------------

    @precondition(lambda self: len(self.workers) < len(SLOTS))
    @rule(dies_before=deaths(24))
    def start(self, dies_before: int) -> None:
        """A worker claims a series; it recovers what others left open."""
        slot = next(slot for slot in SLOTS if slot not in self.workers)
        fds: set[int] = set()

        def claim() -> None:
            self.layout.prepare()
            with patch.object(claiming.secrets, "token_hex", self.incarnation):
                held = claiming.claim(
                    self.layout.log,
                    self.layout.log_lock,
                    host="h",
                    slot=slot,
                    now_us=self.clients.now_us,
                )
            self.workers[slot] = Worker(held, fds)

        if self.survives(fds, dies_before, claim):
            self.look()

    @precondition(lambda self: self.workers)
    @rule(pick=picks, batches=batches, dies_before=deaths(12))
    def commit(self, pick: int, batches: list[list[int]], dies_before: int) -> None:
        """Batches, one after the other; each is acked when its commit returns."""

        def commit_all(worker: Worker) -> None:
            for sizes in batches:
                worker.unsealed_us.append(self.clients.now_us)
                batch = [self.clients.send(size) for size in sizes]
                worker.writer.commit(batch)
                self.clients.ack(worker, batch)
                self.counts["acked_batches"] += 1
            worker.publish(self.clients.now_us)

        self.work(pick, dies_before, commit_all)

    @precondition(lambda self: self.workers)
    @rule(pick=picks, dies_before=deaths(5))
    def seal(self, pick: int, dies_before: int) -> None:
        """The segment is old enough."""
        self.work(pick, dies_before, lambda worker: worker.seal(self.clients.now_us))

    @precondition(lambda self: self.workers)
    @rule(pick=picks, dies_before=deaths(7))
    def drain(self, pick: int, dies_before: int) -> None:
        """A worker ends in order."""

        def end(worker: Worker) -> None:
            worker.seal(self.clients.now_us)
            worker.claim.release()

        self.work(pick, dies_before, end)
        self.workers = {slot: worker for slot, worker in self.workers.items() if worker.fds}

    @precondition(lambda self: self.left_open())
    @rule(dies_before=deaths(24))
    def recover(self, dies_before: int) -> None:
        """Seal segments without a writer, as a compaction does when it begins."""
        left = {path: path.stat().st_size for path in self.left_open()}
        done: list[Recovered] = []

        def recover() -> None:
            done.extend(recovery.recover_orphans(self.layout.log, self.layout.log_lock))

        if self.survives(set(), dies_before, recover):
            self.assert_reported(done, left)
            self.look()

    @precondition(lambda self: not self.is_synced)
    @rule(chance=chances)
    def power_cut(self, chance: random.Random) -> None:
        """Of what was not synced, any part is gone."""
        self.kill_all()
        self.disk.power_cut(chance)
        self.counts["power_cuts"] += 1
        self.is_synced, self.compacted = True, False

    def teardown(self) -> None:
        """At the end everything is recovered, and looked at once more."""
        self.kill_all()
        self.recover(NEVER)
        assert not self.left_open()
        self.disk.remove()
        self.folder.rmdir()
        self.counts["runs"] += 1
        self.counts["acked_lines"] += len(self.clients.acked)

    # -- how ----------------------------------------------------------------------------------

    def incarnation(self, _: int) -> str:
        """Return the name of a new series; a repeated run makes the same names."""
        self.incarnations += 1
        return f"{zlib.crc32(b'%d' % self.incarnations):08x}"

    def work(self, pick: int, dies_before: int, action: Callable[[Worker], object]) -> None:
        """Have one worker do something; it is gone when it died of it."""
        slot = sorted(self.workers)[pick % len(self.workers)]
        worker = self.workers[slot]
        if not self.survives(worker.fds, dies_before, lambda: action(worker)):
            del self.workers[slot]

    def survives(self, fds: set[int], dies_before: int, action: Callable[[], object]) -> bool:
        """Run something as a process on the disk, and tell whether it lives."""
        self.is_synced = self.compacted = False
        try:
            with self.disk.process(fds, dies_before=dies_before):
                action()
        except Killed:
            self.counts["deaths"] += 1
            return False
        return True

    def kill_all(self) -> None:
        for worker in self.workers.values():
            close(worker.fds)
        self.workers.clear()

    def left_open(self) -> list[Path]:
        """The open segments that nobody writes."""
        written = {worker.claim.folder for worker in self.workers.values()}
        folders = set(segments.series_folders(self.layout.log)) - written
        return [path for folder in folders for _, path in segments.open_in(folder)]

    # -- what must hold -----------------------------------------------------------------------

    def assert_reported(self, done: list[Recovered], left: dict[Path, int]) -> None:
        """Each segment that was left open, and where its bytes went."""
        reported = {}
        for one in done:
            assert one.decision.corrupt_offsets == ()
            assert one.decision.lines == (one.sealed.lines if one.sealed else 0)
            path = self.layout.log / one.decision.series / segments.open_name(one.decision.segment)
            kept = one.sealed.path.stat().st_size if one.sealed else 0
            reported[path] = kept + one.decision.torn_bytes
        assert reported == left

    def look(self) -> None:
        """Acked ⊆ recovered ⊆ sent, in order, exactly once, and what was sealed stays."""
        found: dict[tuple[str, int], bytes] = {}
        for folder in segments.series_folders(self.layout.log):
            lines = list(self.lines_in(folder))
            if lines:
                first = lines[0].seq
                assert [line.seq for line in lines] == list(range(first, first + len(lines)))
            found |= {(folder.name, line.seq): line.payload for line in lines}
        assert len(set(found.values())) == len(found), "a line is there twice"
        assert set(found.values()) <= set(self.clients.names)
        for (series, seq), payload in self.clients.acked.items():
            assert found.get((series, seq), self.deleted(payload)) == payload

    def deleted(self, payload: bytes) -> bytes | None:
        """Return the replacement of a line that left the log: no line may be missing."""
        return None

    def lines_in(self, folder: Path) -> Iterator[Line]:
        """The lines of a series, sealed and open; of what nobody has recovered yet the whole."""
        for sealed in segments.sealed_in(folder):
            yield from self.lines_of(sealed)
        for number, path in segments.open_in(folder):
            for line in log_format.scan(
                path.read_bytes(), log_format.chain_seed(folder.name, number)
            ):
                if not isinstance(line, Line):
                    return
                yield line

    def lines_of(self, sealed: Sealed) -> list[Line]:
        content = sealed.path.read_bytes()
        seen = self.seen.get((sealed.series, sealed.number))
        if seen is None:
            verification.verify(sealed)
            scanned = log_format.scan(content, log_format.chain_seed(sealed.series, sealed.number))
            lines = [line for line in scanned if isinstance(line, Line)]
            seen = self.seen[sealed.series, sealed.number] = Seen(sealed.path.name, content, lines)
        assert (seen.name, seen.content) == (sealed.path.name, content)
        return seen.lines


class Lake(Log):
    """The same, with compaction, maintenance and reports."""

    merges = False  # whether there may be something to merge

    @precondition(lambda self: self.clients.names and not self.compacted)
    @rule(dies_before=deaths(50))
    def compact(self, dies_before: int) -> None:
        """Segments are deleted as soon as that is allowed at all."""
        plan = compaction.CompactionPlan(segment_grace_s=0.0, bytes_max=3_000, wait_s=0.0)
        outcomes: list[compaction.CompactionResult] = []

        def run() -> None:
            outcomes.append(compaction.run(self.disk.root, plan, time.time() + 60))

        if self.survives(set(), dies_before, run):
            (outcome,) = outcomes
            assert outcome.stopped == []
            assert outcome.lines >= outcome.rows + outcome.duplicates + outcome.rejected
            self.counts["compactions"] += 1
            self.assert_in_order()
            self.merges, self.compacted = True, True

    @precondition(lambda self: self.merges)
    @rule(dies_before=deaths(50))
    def maintain(self, dies_before: int) -> None:
        """Small files are merged, and nothing is kept that the newest version does not need."""
        self.merges = False
        plan = maintenance.MaintenancePlan(merge_files_min=2, snapshot_retention_hours=0)
        self.survives(
            set(), dies_before, lambda: maintenance.run(self.disk.root, plan, time.time() + 60)
        )

    @precondition(lambda self: not self.compacted)
    @rule()
    def restart(self) -> None:
        """Everything dies, all is recovered and compacted; then a report is read."""
        self.kill_all()
        self.compact(NEVER)
        with LiveView(self.disk.root).connect() as view:
            rows = view.execute("SELECT event_id FROM events UNION ALL SELECT reason FROM rejected")
            names = [name for (name,) in rows.fetchall()]
            repeats = view.execute("SELECT transaction_id FROM duplicates WHERE value = 1")
            kept = {f"claimed-{transaction}" for (transaction,) in repeats.fetchall()}
        assert len(set(names)) == len(names), "counted twice"
        acked, below = self.clients.acked_names, outranked(names)
        assert acked - below <= set(names) <= set(self.clients.names.values()) - below
        assert acked & below <= kept, "an outranked sale is lost"
        self.counts["outranked"] += len(acked & below)
        self.counts["reports"] += 1

    def teardown(self) -> None:
        self.restart()
        assert check.run(self.disk.root).problems == []
        super().teardown()

    def assert_in_order(self) -> None:
        """The lake holds nothing that was received after a line it does not hold."""
        with LiveView(self.disk.root).connect() as view:
            (newest,) = view.execute("SELECT max(received_at)::VARCHAR FROM lake_events").fetchall()
            left = view.execute("SELECT min(received_at)::VARCHAR FROM staged_events").fetchall()
            sales = view.execute("SELECT event_id FROM events WHERE endpoint = 'conversion'")
            counted = {name for (name,) in sales.fetchall()}
        assert newest[0] is None or left[0][0] is None or newest[0] < left[0][0]
        assert not counted & outranked(counted), "a signed sale counts beside a claimed one"

    def deleted(self, payload: bytes) -> bytes | None:
        """Its segment was compacted, or `restart` will not find it."""
        return payload


def run(machine: type[Log], base: Path, runs: int, name: str) -> Counter[str]:
    """Run a machine so many times; the counts are kept, and returned."""
    chosen = settings(
        max_examples=runs,
        stateful_step_count=100 if is_soak() else 50,
        deadline=None,
        derandomize=not is_soak(),
        phases=[Phase.generate, Phase.shrink] if is_soak() else [Phase.generate],
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    counts: Counter[str] = Counter()
    with figures(name) as kept:
        run_state_machine_as_test(lambda: machine(base, counts), settings=chosen)
        kept.update(counts)
    assert counts["runs"] >= runs
    return counts


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def test_the_log_keeps_what_it_acked(base: Path) -> None:
    """Whatever dies, whatever a power cut takes."""
    run(Log, base, rounds(250, 5_000), "model of the log")


def test_log_and_lake_keep_what_was_acked(base: Path) -> None:
    """Also while it is compacted and maintained."""
    counts = run(Lake, base, rounds(12, 500), "model of log and lake")
    assert counts["outranked"], "no sale was told twice"
