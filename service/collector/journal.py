"""Group commit: `submit` returns a future that resolves once the record is on disk.

It also keeps the promise of the series (see `etl.log.closed`): the receipt of the oldest record
that is not in a sealed segment yet, or now. A record is stamped and submitted in one step of the
loop, so none that is stamped is unknown here. The promise is published twice a second and after
each seal.

Records wait in one bounded buffer. One committer takes all of them, writes and syncs them in one
batch in its own thread, then resolves the future that they share; while a batch syncs the next one
forms, so there is no timer and no waiting when there is nothing to wait for. The same committer
seals the segment on size, on age and on close, so that the writer is never used by two at once.

`go_on` ends one series and begins another between two records: those before it are committed and
sealed by the old writer, those after it go to the new one.

A batch that the disk has no room for fails with DiskFull and leaves no trace. Any other failure
breaks the journal: every waiting record fails with JournalBroken, `on_broken` is called once, and
the process is expected to exit; recovery takes over at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from etl.log.segment_writer import DiskFull, SegmentWriter
from service.collector.clock import Clock

log = logging.getLogger(__name__)

BUFFER_BYTES_MAX = 8 << 20
BUFFER_LINES_MAX = 20_000
_REFUSAL_REMEMBERED_S = 5.0
_PUBLISH_EVERY_S = 0.5


class JournalFull(Exception):
    """The buffer is at its maximum: the disk is slower than the clients."""


class JournalBroken(Exception):
    """The log cannot be written any more by this process."""


@dataclass(slots=True)
class _Successor:
    """The writer that goes on once what was submitted before it is sealed, and who waits for it."""

    writer: SegmentWriter
    last_payloads: list[bytes]
    last_batch: _Batch
    sealed: asyncio.Future[None]


class _Batch(asyncio.Future[None]):
    """Resolves when a batch is durable, whoever has stopped waiting for it meanwhile."""

    def cancel(self, _: object = None) -> bool:
        """One that waits cannot cancel it for all: its task is cancelled when the batch is done."""
        return False


class Journal:
    """The durable end of one worker. `start` and `close` it on the loop that submits."""

    def __init__(  # noqa: PLR0913  (its writer and clock, passed in, and its bounds)
        self,
        writer: SegmentWriter,
        clock: Clock,
        *,
        segment_age_s: float,
        on_broken: Callable[[], None],
        buffer_bytes_max: int = BUFFER_BYTES_MAX,
        buffer_lines_max: int = BUFFER_LINES_MAX,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._segment_age_s = segment_age_s
        self._on_broken = on_broken
        self._buffer_bytes_max = buffer_bytes_max
        self._buffer_lines_max = buffer_lines_max
        self._payloads: list[bytes] = []
        self._buffered_bytes = 0
        self._thread = ThreadPoolExecutor(1, "journal")
        self._wake = asyncio.Event()
        self._seal_due = self._closing = self._broken = False
        self._refused_at_s = float("-inf")
        self._age_timer: asyncio.TimerHandle | None = None
        # The receipts of the oldest records that are buffered, being committed, and not sealed.
        self._forming_us: int | None = None
        self._in_flight_us: int | None = None
        self._open_us: int | None = None
        self._published_us = clock.latest_us
        self._successor: _Successor | None = None
        self.fallen = asyncio.Event()
        self._on_time: _Batch | None = None

    def start(self) -> None:
        """Start the committer on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._forming, self._in_flight = _Batch(), _Batch()
        self._committer = self._loop.create_task(self._commit_for_ever())
        self._committer.add_done_callback(self._committer_ended)
        self._publisher = self._loop.create_task(self._publish_for_ever())

    def submit(self, payload: bytes, received_us: int) -> asyncio.Future[None]:
        """Queue one record, a JSON object's bytes, received when the clock said so just now. The
        future resolves after it was synced; it is that of all the records of the batch.

        Raises JournalFull or JournalBroken at once; the future raises DiskFull or JournalBroken.
        """
        if received_us < self._published_us:
            raise RuntimeError("a record was stamped before what this series has promised")
        if self._broken or self._closing:
            raise JournalBroken("the log is closed")
        bytes_after = self._buffered_bytes + len(payload)
        if bytes_after > self._buffer_bytes_max or len(self._payloads) >= self._buffer_lines_max:
            raise JournalFull("the log's buffer is full")
        if self._forming_us is None:
            self._forming_us = received_us
        self._buffered_bytes = bytes_after
        self._payloads.append(payload)
        self._wake.set()
        return self._forming

    async def on_time(self) -> None:
        """Wait, where the clock fell back, until this has gone on in a new series, or cannot.

        Sets `fallen`, for whoever calls `go_on` and then `let_go`.
        """
        if not self._clock.has_fallen() or self._closing or self._broken:
            return
        if self._on_time is None:
            self._on_time = _Batch()
        self.fallen.set()
        await self._on_time

    def let_go(self) -> None:
        """Let those go on that wait for the clock, whatever time it is."""
        self.fallen.clear()
        if self._on_time:
            self._on_time.set_result(None)
            self._on_time = None

    async def go_on(self, writer: SegmentWriter, begins_us: int) -> None:
        """Go on in a new series, from `begins_us` on; returns when the old one is sealed.

        Raises JournalBroken.
        """
        if self._broken or self._closing or self._successor:
            raise JournalBroken("the log is closed")
        sealed = self._loop.create_future()
        self._successor = _Successor(writer, self._payloads, self._forming, sealed)
        self._payloads, self._forming, self._buffered_bytes = [], _Batch(), 0
        self._forming_us = None
        self._clock.restart(begins_us)
        self._published_us = begins_us
        self._wake.set()
        await asyncio.wait([sealed, self._committer], return_when=asyncio.FIRST_COMPLETED)
        if not sealed.done():
            raise JournalBroken("the log cannot be written")

    def closed_us(self) -> int:
        """The time before which nothing is unsealed, and nothing will be stamped any more."""
        for oldest_us in (self._open_us, self._in_flight_us, self._forming_us):
            if oldest_us is not None:
                return oldest_us
        return self._clock.now_us()

    def why_not_ready(self) -> list[str]:
        """The reasons for which records cannot be taken now; none when they can."""
        if self._broken:
            return ["the log cannot be written"]
        refused_lately = self._loop.time() - self._refused_at_s < _REFUSAL_REMEMBERED_S
        try:
            full = refused_lately or not self._writer.has_space()
        except OSError:
            return ["the disk cannot be read"]
        return ["the disk is full"] if full else []

    async def close(self) -> None:
        """Commit what is buffered, seal the open segment, end the committer."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._committer])
        self._publisher.cancel()
        with suppress(asyncio.CancelledError):
            await self._publisher
        self._thread.shutdown()

    async def _commit_for_ever(self) -> None:
        while self._payloads or self._successor or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if self._successor:
                await self._hand_over(self._successor)
            if self._payloads:
                await self._commit_forming()
            if self._seal_due or self._writer.is_full:
                await self._seal()
            if self._payloads or self._successor:
                self._wake.set()
        await self._seal()

    async def _commit_forming(self) -> None:
        payloads, self._payloads = self._payloads, []
        batch, self._forming = self._forming, _Batch()
        self._in_flight_us, self._forming_us = self._forming_us, None
        self._buffered_bytes = 0
        await self._commit(payloads, batch)

    async def _commit(self, payloads: list[bytes], batch: _Batch) -> None:
        self._in_flight = batch
        try:
            await self._loop.run_in_executor(self._thread, self._writer.commit, payloads)
        except DiskFull as error:
            if self._refused_at_s == float("-inf"):  # said once, until a batch succeeds
                log.error("the disk refuses events", extra={"fields": {"why": str(error)}})
            self._refused_at_s = self._loop.time()
            self._in_flight_us = None
            _fail(batch, error)
            return
        self._refused_at_s = float("-inf")
        if self._open_us is None:
            self._open_us = self._in_flight_us
        self._in_flight_us = None
        batch.set_result(None)
        if self._age_timer is None:
            self._age_timer = self._loop.call_later(self._segment_age_s, self._age_reached)

    async def _hand_over(self, successor: _Successor) -> None:
        """Commit and seal what was submitted before, then let the successor write.

        Nothing is published meanwhile: each series' promise stays what it was.
        """
        if successor.last_payloads:
            await self._commit(successor.last_payloads, successor.last_batch)
        await self._seal()
        self._writer, self._successor = successor.writer, None
        self._open_us = None
        successor.sealed.set_result(None)

    def _age_reached(self) -> None:
        self._seal_due = True
        self._wake.set()

    async def _seal(self) -> None:
        self._seal_due = False
        if self._age_timer:
            self._age_timer.cancel()
            self._age_timer = None
        sealed = await self._loop.run_in_executor(self._thread, self._writer.seal)
        if sealed:
            fields = {"series": sealed.series, "segment": sealed.number, "lines": sealed.lines}
            log.debug("segment sealed", extra={"fields": fields})
        self._open_us = None
        await self._publish()

    async def _publish_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_PUBLISH_EVERY_S)
            await self._publish()

    async def _publish(self) -> None:
        """Publish the promise where it has moved. One that fails is published the next time."""
        if self._successor or self._broken:
            return
        closed_us = self.closed_us()
        if closed_us <= self._published_us:
            return
        self._published_us = closed_us
        try:
            await self._loop.run_in_executor(self._thread, self._writer.publish, closed_us)
        except OSError as error:
            log.error("a promise was not published", extra={"fields": {"why": str(error)}})

    def _committer_ended(self, committer: asyncio.Task[None]) -> None:
        error = None if committer.cancelled() else committer.exception()
        if self._closing and error is None:
            return
        self._broken = True
        log.critical("the log cannot be written any more", exc_info=error)
        self._payloads = []
        batches = [self._in_flight, self._forming]
        if self._successor:
            batches.append(self._successor.last_batch)
        for batch in batches:
            if not batch.done():
                _fail(batch, JournalBroken("the log cannot be written"))
        self._on_broken()


def _fail(batch: _Batch, error: Exception) -> None:
    batch.set_exception(error)
    batch.exception()  # retrieved: whoever waited may have gone
