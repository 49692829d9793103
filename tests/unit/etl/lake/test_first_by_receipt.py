"""Of two sendings the first by receipt counts, whenever a compaction runs and wherever it ends."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import START, UNTIMED, Shop, at, event
from receipts import receipt

from etl.lake import compaction
from etl.lake.compaction import CompactionPlan
from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.log import claiming, closed, safe_time, segments
from etl.log.claiming import Claim
from etl.log.format import Line, chain_seed, scan
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position
from etl.upkeep import check
from service.collector.clock import Clock
from service.collector.journal import Journal

START_US = round(START.timestamp() * 1_000_000)
NOW = CompactionPlan(wait_s=0.0)
WINDOWS_S = {"id": 86_400, "tx": 30 * 86_400, "stx": 30 * 86_400}
REVENUE = "SELECT sum(value)::BIGINT FROM events"

Rows = list[tuple]


def sale(after_s: float, transaction: str, value: int) -> bytes:
    """A conversion of a transaction."""
    return event(
        after_s,
        type="purchase",
        transaction_id=transaction,
        value=value,
        currency="HNL",
        dedupe_key=f"tx:{transaction}",
    )


# -- the case by hand -------------------------------------------------------------------------


class Worker:
    """A journal on a series of its own; its clock is set by hand, in seconds after START."""

    def __init__(self, shop: Shop, slot: int, *, segment_bytes_max: int) -> None:
        self.now_s = 0.0
        clock = Clock(wall_ns=lambda: START_US * 1000 + round(self.now_s * 1e9))
        layout = shop.layout
        self.claim = claiming.claim(
            layout.log, layout.log_lock, host="h", slot=slot, now_us=clock.now_us()
        )
        clock.restart(self.claim.begins_us)
        writer = SegmentWriter(
            self.claim.folder,
            Position(),
            segment_bytes_max=segment_bytes_max,
            disk_free_bytes_min=0,
        )
        self.journal = Journal(writer, clock, segment_age_s=3600.0, on_broken=lambda: None)
        self.clock = clock

    async def take(self, after_s: float, transaction: str, value: int) -> None:
        """Store a sale that is received then."""
        self.now_s = after_s
        stamp = self.clock.now_us()
        record = sale((stamp - START_US) / 1e6, transaction, value)
        await receipt(self.journal.submit(record, stamp))

    async def end(self, after_s: float) -> None:
        """Seal and go."""
        self.now_s = after_s
        await self.journal.close()
        self.claim.release()


@pytest.mark.parametrize("compacts_between", [False, True])
def test_revenue_does_not_depend_on_when_a_compaction_runs(tmp_path, compacts_between):
    """A takes any sale, B transaction X of 1, A transaction X of 1000; A seals first."""
    shop = Shop(tmp_path / "data")
    shop.layout.prepare()

    async def scenario() -> None:
        a = Worker(shop, 0, segment_bytes_max=1)
        b = Worker(shop, 1, segment_bytes_max=1 << 20)
        a.journal.start()
        b.journal.start()
        await a.take(0.0, "any", 5)
        await b.take(1.0, "X", 1)
        await a.take(1.5, "X", 1000)
        while len(segments.sealed_in(a.claim.folder)) < 2:
            await asyncio.sleep(0)
        if compacts_between:
            assert shop.compact(NOW).rows < 2, "B has promised nothing past its own sale"
        await b.end(2.0)
        await a.end(2.0)

    asyncio.run(scenario())
    assert shop.query(REVENUE) == [(6,)]
    shop.compact()
    assert shop.query(REVENUE) == [(6,)]
    assert shop.query("SELECT tail_events FROM snapshot") == [(0,)]
    assert check.run(shop.data).problems == []


def test_what_is_received_at_the_promised_time_waits(tmp_path):
    """Another line may have the very same receipt; at one microsecond the series' name decides."""
    shop = Shop(tmp_path / "data")
    shop.seal(sale(1, "X", 1000), sale(2, "Y", 1), series="h-w1-bb")
    with shop.written("h-w0-aa", closed_s=1):
        assert shop.compact(NOW).rows == 0
    with shop.written("h-w0-aa", closed_s=1.000001):
        assert shop.compact(NOW).rows == 1
    assert shop.query("SELECT count(*), (SELECT tail_events FROM snapshot) FROM events") == [(2, 1)]
    assert check.run(shop.data).problems == []


def test_a_damaged_series_does_not_hold_the_others_back(tmp_path):
    """Of what nobody can read, nobody knows what it would have changed."""
    shop = Shop(tmp_path / "data")
    damaged = shop.seal(sale(0, "X", 1), series="h-w0-aa")
    damaged.path.write_bytes(damaged.path.read_bytes().replace(b"HNL", b"USD"))
    shop.seal(sale(1, "X", 1000), series="h-w1-bb")
    outcome = shop.compact(NOW)
    assert (outcome.rows, [item.series for item in outcome.stopped]) == (1, ["h-w0-aa"])


# -- waiting for the safe time ----------------------------------------------------------------


def test_a_run_waits_until_what_was_sealed_can_be_taken(tmp_path, monkeypatch):
    """A promise may be half a second old, and a writer may have older lines unsealed."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(5), series="h-w1-bb")
    slept = []

    def pause(delay_s: float) -> None:
        slept.append(delay_s)
        if len(slept) == 3:
            closed.publish(shop.folder(), START_US + 6_000_000)

    monkeypatch.setattr(compaction, "_pause", pause)
    with shop.written(closed_s=5):
        assert shop.compact(CompactionPlan(wait_s=60)).rows == 1
    assert len(slept) == 3


def test_a_run_does_not_wait_for_ever(tmp_path, caplog):
    """A writer that hangs is named, and what is before its promise is taken."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(1), event(5), series="h-w1-bb")
    with shop.written(closed_s=5):
        assert shop.compact(CompactionPlan(wait_s=0.2)).rows == 1
    assert [record.fields["series"] for record in caplog.records] == ["h-w0-aa"]


def test_what_is_stamped_in_the_future_by_a_dead_series_is_taken_at_once(tmp_path, monkeypatch):
    """By a clock that was wrong: to wait would take until then."""
    shop = Shop(tmp_path / "data")
    now_s = time.time()
    shop.seal(event(1), series="h-w1-bb")
    shop.seal(event(now_s - START.timestamp() + 3600), series="h-w2-cc")
    monkeypatch.setattr(compaction, "_pause", lambda _: pytest.fail("it waits"))
    with shop.written(closed_s=now_s - START.timestamp() + 1):
        assert compaction.run(shop.data, CompactionPlan(wait_s=60), now_s).rows == 2


# -- any history ------------------------------------------------------------------------------


@dataclass
class Writer:
    """A process that writes a series, and the receipts of its lines that are not sealed."""

    claim: Claim
    writer: SegmentWriter
    unsealed_us: list[int] = field(default_factory=list)

    def publish(self, now_us: int) -> None:
        self.writer.publish(min([now_us, *self.unsealed_us]))

    def seal(self, now_us: int) -> None:
        self.writer.seal()
        self.unsealed_us.clear()
        self.publish(now_us)


class History:
    """Writers, their clock, and what became of the log."""

    def __init__(self, data: Path) -> None:
        self.layout = Layout(data)
        self.layout.prepare()
        self.now_us = START_US - 60 * 86_400_000_000  # nothing is ahead of the real clock
        self.lines = 0
        self.writers: dict[int, Writer] = {}

    def writer(self, slot: int) -> Writer:
        """The writer of a slot, which begins a new series where there is none."""
        if slot not in self.writers:
            claim = claiming.claim(
                self.layout.log, self.layout.log_lock, host="h", slot=slot, now_us=self.now_us
            )
            self.now_us = max(self.now_us, claim.begins_us)
            writer = SegmentWriter(
                claim.folder, Position(), segment_bytes_max=1 << 20, disk_free_bytes_min=0
            )
            self.writers[slot] = Writer(claim, writer)
        return self.writers[slot]

    def line(self, slot: int, after_us: int, key: str) -> None:
        writer = self.writer(slot)
        self.now_us += after_us
        self.lines += 1
        received_at = at((self.now_us - START_US) / 1e6)
        payload = event(
            0,
            event_id=f"e{self.lines}",
            received_at=received_at,
            value=self.lines,
            dedupe_key=key or None,
            signed=key.startswith("stx:") or None,
        )
        writer.writer.commit([payload])
        writer.unsealed_us.append(self.now_us)

    def die(self, slot: int) -> None:
        """Unsealed lines wait for a recovery; the closed timestamp stays."""
        writer = self.writers.pop(slot, None)
        if writer:
            if writer.writer._fd >= 0:
                os.close(writer.writer._fd)
            os.close(writer.claim.lock_fd)

    def step(self, name: str, slot: int) -> None:
        if name == "die":
            self.die(slot)
        elif name == "seal":
            self.writer(slot).seal(self.now_us)
        else:
            self.writer(slot).publish(self.now_us)

    def view(self) -> tuple[Rows, Rows]:
        """The rows of events and duplicates."""
        with LiveView(self.layout.root).connect() as con:
            events = con.execute(
                "SELECT series, seq, event_id, value::BIGINT, received_at::VARCHAR "
                "FROM events ORDER BY ALL"
            ).fetchall()
            duplicates = con.execute(
                "SELECT series, seq, received_at::VARCHAR FROM duplicates ORDER BY ALL"
            ).fetchall()
        return events, duplicates

    def expected(self) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
        """The rule, over every sealed line: (series, seq) of events and of duplicates."""
        events, duplicates, unsigned = set(), set(), []
        kept: dict[str, list[datetime]] = {}
        for received_at, series, seq, key in sorted(self.sealed_lines()):
            window_s = WINDOWS_S.get(key.partition(":")[0], -1)
            before = kept.setdefault(key, [])
            if any((received_at - one).total_seconds() <= window_s for one in before):
                duplicates.add((series, seq))
            else:
                events.add((series, seq))
                before.append(received_at)
                unsigned += [(received_at, (series, seq), key)] if key.startswith("tx:") else []
        for received_at, place, key in unsigned:
            signed = kept.get(f"s{key}", [])
            if any(abs((received_at - one).total_seconds()) <= WINDOWS_S["tx"] for one in signed):
                events.remove(place)
                duplicates.add(place)
        return events, duplicates

    def sealed_lines(self) -> Iterator[tuple[datetime, str, int, str]]:
        for series, listed in segments.sealed_everywhere(self.layout.log).items():
            for item in listed:
                for line in scan(item.path.read_bytes(), chain_seed(series, item.number)):
                    assert isinstance(line, Line)
                    record = json.loads(line.data)
                    received_at = datetime.fromisoformat(record["received_at"])
                    yield received_at, series, line.seq, record.get("dedupe_key", "")

    def assert_as_expected(self) -> tuple[Rows, Rows]:
        rows = self.view()
        found = tuple({(row[0], row[1]) for row in part} for part in rows)
        assert found == self.expected()
        return rows

    def compact(self, bytes_max: int) -> int:
        """A run with every pass looked at; how many passes there were."""
        safe_time.settle(self.layout.log, self.layout.log_lock)  # orphans are sealed by it
        before = self.assert_as_expected()
        one_pass, passes = compaction._one_pass, 0

        def looked_at(job) -> bool:
            nonlocal passes
            went_on = one_pass(job)
            passes += went_on
            assert self.view() == before
            return went_on

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "_one_pass", looked_at)
            plan = CompactionPlan(bytes_max=bytes_max, wait_s=0.0)
            compaction.run(self.layout.root, plan, time.time())
        return passes


@contextmanager
def history(folder: Path) -> Iterator[History]:
    made = History(folder)
    with ExitStack() as stack:
        stack.callback(lambda: [made.die(slot) for slot in list(made.writers)])
        yield made


slots = st.integers(0, 2)
gaps_us = st.sampled_from([0, 0, 1, 1_000_000, 20 * 3_600_000_000])
keys = st.sampled_from(["", "tx:1", "tx:1", "stx:1", "tx:2", "id:1"])
steps = st.one_of(
    st.tuples(st.just("line"), slots, gaps_us, keys),
    st.tuples(st.just("line"), slots, gaps_us, keys),
    st.tuples(st.just("line"), slots, gaps_us, keys),
    st.tuples(st.sampled_from(["seal", "seal", "publish", "die"]), slots),
    st.tuples(st.just("compact"), st.sampled_from([1, 400, 1000, 1 << 20])),
)


@pytest.mark.default_python
@given(st.lists(steps, min_size=15, max_size=40))
@settings(UNTIMED, max_examples=examples(6))
def test_a_view_is_the_same_before_between_and_after_passes(tmp_path_factory, taken) -> None:
    """Row by row, and as a rule in plain Python says; of any history, with any budget."""
    with pytest.MonkeyPatch.context() as patch, history(tmp_path_factory.mktemp("h") / "d") as made:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, lambda fd: None)
        for name, *given_ in taken:
            if name == "line":
                made.line(*given_)
            elif name == "compact":
                made.compact(*given_)
            else:
                made.step(name, *given_)
        for slot in list(made.writers):
            made.die(slot)
        made.compact(1 << 20)
        assert made.view() == made.assert_as_expected()
        assert check.run(made.layout.root).problems == []
