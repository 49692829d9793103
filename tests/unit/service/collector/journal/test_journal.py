"""Group commit: what a durable batch promises, and what becomes of records that fail."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receipts import receipt

from etl.log import format as log_format
from etl.log import segments, verification
from etl.log.format import Damage
from etl.log.segment_writer import DiskFull, SegmentWriter, WriterBroken
from etl.log.segments import Position, Sealed
from service.collector.clock import Clock
from service.collector.journal import Journal, JournalBroken, JournalFull

LONG_S = 3600.0
NOW_US = 1_000_000_000
HANG_S = 60.0


class FakeWriter:
    """A SegmentWriter in memory. While `gate` is not set, a commit does not return."""

    def __init__(self, *, lines_max: int = 1_000_000) -> None:
        self.batches: list[list[bytes]] = []
        self.events: list[str] = []
        self.failures: list[Exception] = []
        self.seal_failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.free = True
        self._lines = 0
        self._lines_max = lines_max

    @property
    def stored(self) -> list[bytes]:
        return [payload for batch in self.batches for payload in batch]

    @property
    def is_full(self) -> bool:
        return self._lines >= self._lines_max

    def commit(self, payloads: Sequence[bytes]) -> None:
        self.began.set()
        assert self.gate.wait(HANG_S)
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(list(payloads))
        self.events.append(f"commit {len(payloads)}")
        self._lines += len(payloads)

    def seal(self) -> Sealed | None:
        if self.seal_failure:
            raise self.seal_failure
        if not self._lines:
            return None
        self.events.append("seal")
        sealed = Sealed("s", 1, self._lines, 0, Path("s"))
        self._lines = 0
        return sealed

    def publish(self, closed_us: int) -> None:
        self.events.append(f"closed {closed_us - NOW_US}")

    def has_space(self) -> bool:
        return self.free


class Broken:
    """Counts the calls of `on_broken`."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


def journal_of(writer: object, **given: object) -> Journal:
    clock = given.pop("clock", None) or Clock(NOW_US, wall_ns=lambda: NOW_US * 1000)
    options = {"segment_age_s": LONG_S, "on_broken": Broken(), **given}
    return Journal(writer, clock, **options)  # type: ignore[arg-type]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario; one that hangs fails."""

    async def bounded() -> None:
        await asyncio.wait_for(scenario(), HANG_S)

    asyncio.run(bounded())


async def held(
    writer: FakeWriter, journal: Journal, payload: bytes = b"{}", stamp_us: int = NOW_US
) -> asyncio.Future[None]:
    """Submit a record whose commit has begun and does not return."""
    writer.gate.clear()
    writer.began.clear()
    waiter = receipt(journal.submit(payload, stamp_us))
    assert await asyncio.to_thread(writer.began.wait, HANG_S)
    return waiter


def payload(number: int) -> bytes:
    return b'{"kind":"event","number":%d}' % number


# -- receipts ---------------------------------------------------------------------------------


def test_a_batch_is_settled_only_after_its_commit_returned() -> None:
    """While the writer has not returned there is no receipt."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        waiter = await held(writer, journal)
        assert not waiter.done()
        writer.gate.set()
        await waiter
        assert writer.batches == [[b"{}"]]
        await journal.close()

    run(scenario)


def test_records_that_come_during_a_sync_form_the_next_batch() -> None:
    """One commit holds all that came while the one before was under way."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        first = await held(writer, journal, payload(0))
        rest = [receipt(journal.submit(payload(number), NOW_US)) for number in range(1, 100)]
        writer.gate.set()
        await asyncio.gather(first, *rest)
        assert [len(batch) for batch in writer.batches] == [1, 99]
        assert writer.stored == [payload(number) for number in range(100)]
        await journal.close()

    run(scenario)


def test_a_lone_record_is_committed_at_once() -> None:
    """There is no timer to wait for when nothing else comes."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        for number in range(3):
            await receipt(journal.submit(payload(number), NOW_US))
        assert [len(batch) for batch in writer.batches] == [1, 1, 1]
        await journal.close()

    run(scenario)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
def test_records_are_written_in_the_order_they_were_submitted(bursts: list[list[int]]) -> None:
    """However they fall into batches, lines stand in the order of `submit`."""
    writer = FakeWriter(lines_max=4)

    async def scenario() -> None:
        journal = journal_of(writer)
        journal.start()
        waiters = []
        for burst in bursts:
            waiters += [receipt(journal.submit(payload(number), NOW_US)) for number in burst]
            await asyncio.sleep(0)
        await journal.close()
        assert all(waiter.done() and waiter.exception() is None for waiter in waiters)

    run(scenario)
    assert writer.stored == [payload(number) for burst in bursts for number in burst]


# -- bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bounds", [{"buffer_lines_max": 3}, {"buffer_bytes_max": 3 * len(payload(0))}]
)
def test_a_full_buffer_refuses_at_once_and_takes_again_when_written(
    bounds: dict[str, int],
) -> None:
    """Past its lines or its bytes the buffer refuses; what it held is stored."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer, **bounds)
        journal.start()
        first = await held(writer, journal)
        taken = [receipt(journal.submit(payload(number), NOW_US)) for number in range(3)]
        with pytest.raises(JournalFull):
            journal.submit(payload(3), NOW_US)
        writer.gate.set()
        await asyncio.gather(first, *taken)
        await receipt(journal.submit(payload(4), NOW_US))
        assert writer.stored[1:] == [payload(n) for n in (0, 1, 2, 4)]
        await journal.close()

    run(scenario)


# -- a full disk ------------------------------------------------------------------------------


def test_a_full_disk_fails_that_batch_alone() -> None:
    """Records after a refused batch are stored once there is room."""

    async def scenario() -> None:
        writer = FakeWriter()
        broken = Broken()
        journal = journal_of(writer, on_broken=broken)
        journal.start()
        writer.failures = [DiskFull("none left")]
        refused = await held(writer, journal, payload(0))
        later = receipt(journal.submit(payload(1), NOW_US))
        writer.gate.set()
        with pytest.raises(DiskFull):
            await refused
        await later
        assert writer.batches == [[payload(1)]]
        assert broken.calls == 0
        await journal.close()

    run(scenario)


def test_not_ready_after_a_refusal_until_a_batch_is_stored() -> None:
    """Readiness tells of a full disk as long as the last batch was refused."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        assert journal.why_not_ready() == []
        writer.failures = [DiskFull("none left")]
        with pytest.raises(DiskFull):
            await receipt(journal.submit(payload(0), NOW_US))
        assert journal.why_not_ready() == ["the disk is full"]
        await receipt(journal.submit(payload(1), NOW_US))
        assert journal.why_not_ready() == []
        await journal.close()

    run(scenario)


def test_a_refusal_is_forgotten_when_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer that sends nothing to a process that is not ready finds it ready again."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        writer.failures = [DiskFull("none left")]
        with pytest.raises(DiskFull):
            await receipt(journal.submit(payload(0), NOW_US))
        loop = asyncio.get_running_loop()
        later_s = loop.time() + 60.0
        with monkeypatch.context() as patched:
            patched.setattr(loop, "time", lambda: later_s)
            assert journal.why_not_ready() == []
        await journal.close()

    run(scenario)


def test_not_ready_while_too_little_is_free() -> None:
    """The disk is asked, without waiting for a batch to fail."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        writer.free = False
        assert journal.why_not_ready() == ["the disk is full"]
        writer.free = True
        assert journal.why_not_ready() == []
        await journal.close()

    run(scenario)


def test_not_ready_while_the_disk_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that vanished is a reason, not a failure to answer."""

    async def scenario() -> None:
        def vanished() -> bool:
            raise FileNotFoundError("data")

        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        monkeypatch.setattr(writer, "has_space", vanished)
        assert journal.why_not_ready() == ["the disk cannot be read"]
        await journal.close()

    run(scenario)


# -- a broken writer --------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [WriterBroken("sync failed"), ValueError("a bug")])
def test_a_broken_writer_fails_all_that_wait(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """No record waits for ever, the owner is told once, and nothing is taken any more."""

    async def scenario() -> None:
        writer = FakeWriter()
        broken = Broken()
        journal = journal_of(writer, on_broken=broken)
        journal.start()
        writer.failures = [failure]
        in_flight = await held(writer, journal, payload(0))
        waiting = receipt(journal.submit(payload(1), NOW_US))
        writer.gate.set()
        results = await asyncio.gather(in_flight, waiting, return_exceptions=True)
        assert [type(result) for result in results] == [JournalBroken, JournalBroken]
        with pytest.raises(JournalBroken):
            journal.submit(payload(2), NOW_US)
        assert journal.why_not_ready() == ["the log cannot be written"]
        await journal.close()
        assert broken.calls == 1
        assert writer.batches == []

    run(scenario)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


def test_a_seal_that_fails_breaks_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    """The receipt given before stands; what comes after is refused."""

    async def scenario() -> None:
        writer = FakeWriter(lines_max=1)
        broken = Broken()
        journal = journal_of(writer, on_broken=broken)
        journal.start()
        writer.seal_failure = WriterBroken("rename failed")
        await receipt(journal.submit(payload(0), NOW_US))
        await journal.close()
        assert broken.calls == 1
        with pytest.raises(JournalBroken):
            journal.submit(payload(1), NOW_US)

    run(scenario)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


def test_a_failure_to_seal_on_close_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A drain whose last seal failed is no clean end."""

    async def scenario() -> None:
        writer = FakeWriter()
        broken = Broken()
        journal = journal_of(writer, on_broken=broken)
        journal.start()
        await receipt(journal.submit(payload(0), NOW_US))
        writer.seal_failure = WriterBroken("sync failed")
        await journal.close()
        assert broken.calls == 1

    run(scenario)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


# -- sealing ----------------------------------------------------------------------------------


def test_a_full_segment_is_sealed() -> None:
    """The writer's word decides, after each batch."""

    async def scenario() -> None:
        writer = FakeWriter(lines_max=2)
        journal = journal_of(writer)
        journal.start()
        for number in range(3):
            await receipt(journal.submit(payload(number), NOW_US))
        await journal.close()
        assert writer.events == ["commit 1", "commit 1", "seal", "commit 1", "seal"]

    run(scenario)


def test_a_segment_is_sealed_at_its_age() -> None:
    """Without any further record, and without any call."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer, segment_age_s=0.001)
        journal.start()
        await receipt(journal.submit(payload(0), NOW_US))
        while "seal" not in writer.events:
            await asyncio.sleep(0.001)
        await receipt(journal.submit(payload(1), NOW_US))
        await journal.close()
        assert writer.events == ["commit 1", "seal", "commit 1", "seal"]

    run(scenario)


def test_an_idle_journal_seals_nothing() -> None:
    """Closing a journal that took nothing leaves nothing."""

    async def scenario() -> None:
        writer = FakeWriter()
        broken = Broken()
        journal = journal_of(writer, on_broken=broken)
        journal.start()
        await journal.close()
        assert writer.events == []
        assert broken.calls == 0

    run(scenario)


def test_close_commits_what_is_buffered_and_seals_it() -> None:
    """Also what came while a batch was under way is committed and sealed, and nothing later."""

    async def scenario() -> None:
        writer = FakeWriter()
        journal = journal_of(writer)
        journal.start()
        first = await held(writer, journal)
        second = receipt(journal.submit(payload(1), NOW_US))
        closing = asyncio.create_task(journal.close())
        await asyncio.sleep(0)
        with pytest.raises(JournalBroken):
            journal.submit(payload(2), NOW_US)
        writer.gate.set()
        await closing
        assert first.done()
        assert second.done()
        assert writer.events == ["commit 1", "commit 1", "seal"]

    run(scenario)


# -- with the real writer ---------------------------------------------------------------------


def test_what_was_acked_is_in_sealed_segments(tmp_path: Path) -> None:
    """Together with the real writer: every line, once, in order, verified, none left open."""
    folder = tmp_path / "host-w0-abc"
    folder.mkdir()
    writer = SegmentWriter(folder, Position(), segment_bytes_max=4096, disk_free_bytes_min=0)

    async def scenario() -> None:
        journal = journal_of(writer)
        journal.start()
        for number in range(0, 500, 50):
            await asyncio.gather(
                *(receipt(journal.submit(payload(n), NOW_US)) for n in range(number, number + 50))
            )
        await journal.close()

    run(scenario)
    sealed = segments.sealed_in(folder)
    assert [segment.number for segment in sealed] == list(range(1, len(sealed) + 1))
    assert len(sealed) > 1
    stored = [line for segment in sealed for line in lines_of(segment)]
    assert stored == [payload(number) for number in range(500)]
    assert segments.open_in(folder) == []


def lines_of(segment: Sealed) -> list[bytes]:
    verification.verify(segment)
    seed = log_format.chain_seed(segment.series, segment.number)
    found = log_format.scan(segment.path.read_bytes(), seed)
    return [line.payload for line in found if not isinstance(line, Damage)]


# -- the promise ------------------------------------------------------------------------------


class Wall:
    """The system's clock, in microseconds after NOW_US, set by hand."""

    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> int:
        return (NOW_US + self.now_us) * 1000


def test_the_promise_is_the_oldest_record_that_is_not_sealed() -> None:
    """Buffered, being committed or in the open segment; without any, it is now."""

    async def scenario() -> None:
        writer, wall = FakeWriter(), Wall()
        clock = Clock(NOW_US, wall_ns=wall)
        journal = journal_of(writer, clock=clock)
        journal.start()
        assert journal.closed_us() == NOW_US
        wall.now_us = 10
        first = await held(writer, journal, stamp_us=clock.now_us())
        wall.now_us = 20
        second = receipt(journal.submit(payload(2), clock.now_us()))
        assert journal.closed_us() == NOW_US + 10
        writer.gate.set()
        await asyncio.gather(first, second)
        wall.now_us = 30
        assert journal.closed_us() == NOW_US + 10
        await journal.close()
        assert journal.closed_us() == NOW_US + 30
        assert writer.events == ["commit 1", "commit 1", "seal", "closed 30"]

    run(scenario)


def test_what_the_disk_refused_is_not_waited_for() -> None:
    """It left no trace, and its client knows."""

    async def scenario() -> None:
        writer, wall = FakeWriter(), Wall()
        writer.failures.append(DiskFull("full"))
        journal = journal_of(writer, clock=Clock(NOW_US, wall_ns=wall))
        journal.start()
        with pytest.raises(DiskFull):
            await receipt(journal.submit(payload(0), NOW_US))
        wall.now_us = 5
        assert journal.closed_us() == NOW_US + 5
        await journal.close()

    run(scenario)


def test_an_idle_series_publishes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a compaction would wait for its next event."""
    monkeypatch.setattr("service.collector.journal.journal._PUBLISH_EVERY_S", 0.001)

    async def scenario() -> None:
        writer, wall = FakeWriter(), Wall()
        journal = journal_of(writer, clock=Clock(NOW_US, wall_ns=wall))
        journal.start()
        wall.now_us = 7
        while writer.events != ["closed 7"]:
            await asyncio.sleep(0.001)
        await journal.close()
        assert writer.events == ["closed 7"]

    run(scenario)


def test_nothing_is_stamped_below_the_promise() -> None:
    """The clock stands still rather; a stamp that was held back would be a defect of ours."""

    async def scenario() -> None:
        writer, wall = FakeWriter(), Wall()
        wall.now_us = 9
        clock = Clock(NOW_US, wall_ns=wall)
        journal = journal_of(writer, clock=clock)
        journal.start()
        await journal._publish()
        wall.now_us = 0
        assert clock.now_us() == NOW_US + 9
        with pytest.raises(RuntimeError):
            journal.submit(payload(0), NOW_US + 8)
        await journal.close()

    run(scenario)


def test_a_promise_that_cannot_be_written_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """The next one says more anyway."""

    async def scenario() -> None:
        writer, wall = FakeWriter(), Wall()
        publish, writer.publish = writer.publish, refuse  # type: ignore[method-assign]
        journal = journal_of(writer, clock=Clock(NOW_US, wall_ns=wall))
        journal.start()
        wall.now_us = 1
        await journal._publish()
        writer.publish = publish  # type: ignore[method-assign]
        wall.now_us = 2
        await journal._publish()
        assert writer.events == ["closed 2"]
        await journal.close()

    def refuse(_: int) -> None:
        raise OSError("no")

    run(scenario)
    assert [one.message for one in caplog.records] == ["a promise was not published"]


# -- another series ---------------------------------------------------------------------------


def test_a_journal_goes_on_in_a_new_series_between_two_records() -> None:
    """Those before are committed and sealed by the old writer; then the clock's time counts."""

    async def scenario() -> None:
        old, new, wall = FakeWriter(), FakeWriter(), Wall()
        wall.now_us = 1_000_000
        clock = Clock(NOW_US, wall_ns=wall)
        journal = journal_of(old, clock=clock)
        journal.start()
        first = await held(old, journal, payload(1), stamp_us=clock.now_us())
        second = receipt(journal.submit(payload(2), clock.now_us()))
        wall.now_us = 10
        going = asyncio.ensure_future(journal.change_series(new, NOW_US + 10))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        third = receipt(journal.submit(payload(3), clock.now_us()))
        assert clock.latest_us == NOW_US + 10
        old.gate.set()
        await asyncio.gather(first, second, going)
        await third
        assert (old.stored, new.stored) == ([payload(1), payload(2)], [payload(3)])
        assert old.events[-1] == "seal", "it promises nothing of the new clock"
        wall.now_us = 20
        await journal.close()
        assert new.events == ["commit 1", "seal", "closed 20"]

    run(scenario)


def test_a_journal_goes_on_while_nothing_was_stored() -> None:
    """An idle worker has its clock set back too."""

    async def scenario() -> None:
        old, new = FakeWriter(), FakeWriter()
        journal = journal_of(old)
        journal.start()
        await journal.change_series(new, NOW_US)  # type: ignore[arg-type]
        await receipt(journal.submit(payload(0), NOW_US))
        assert (old.stored, new.stored) == ([], [payload(0)])
        await journal.close()
        with pytest.raises(JournalBroken):
            await journal.change_series(old, NOW_US)  # type: ignore[arg-type]

    run(scenario)


def test_a_seal_that_fails_ends_the_going_on() -> None:
    """The process ends, and recovery takes over."""

    async def scenario() -> None:
        old, new, broken = FakeWriter(), FakeWriter(), Broken()
        journal = journal_of(old, on_broken=broken)
        journal.start()
        old.seal_failure = WriterBroken("no")
        with pytest.raises(JournalBroken):
            await journal.change_series(new, NOW_US)  # type: ignore[arg-type]
        assert (broken.calls, new.stored) == (1, [])
        await journal.close()

    run(scenario)


def test_records_wait_for_the_new_series_where_the_clock_fell() -> None:
    """So none is stamped with the time before; all of them go on at once."""

    async def scenario() -> None:
        old, new, wall = FakeWriter(), FakeWriter(), Wall()
        wall.now_us = 10_000_000
        clock = Clock(NOW_US, wall_ns=wall)
        journal = journal_of(old, clock=clock)
        journal.start()
        await receipt(journal.submit(payload(1), clock.now_us()))
        assert journal.clock_wait() is None
        assert not journal.clock_fell.is_set()
        wall.now_us = 0

        async def take(number: int) -> int:
            clock_wait = journal.clock_wait()
            assert clock_wait is not None
            await clock_wait
            stamp = clock.now_us()
            await receipt(journal.submit(payload(number), stamp))
            return stamp

        taking = [asyncio.ensure_future(take(number)) for number in (2, 3)]
        await journal.clock_fell.wait()
        await journal.change_series(new, NOW_US)  # type: ignore[arg-type]
        journal.release_waiting()
        assert await asyncio.gather(*taking) == [NOW_US, NOW_US]
        assert (old.stored, new.stored) == ([payload(1)], [payload(2), payload(3)])
        await journal.close()

    run(scenario)
