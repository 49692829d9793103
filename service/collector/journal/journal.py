"""Group commit: `submit` returns the batch of a record, which says when the record is on disk.

Records wait in one bounded buffer, the forming batch. One committer takes the batch, writes and
syncs it in a thread, then pays all that is owed once it is durable. Meanwhile the next batch
forms, so no timer is needed, and there is no delay when the disk is idle. The committer also seals
the segment on size, on age and on close, so the writer never has two users at once.

The journal also publishes the promise of the series (see `etl.log.closed`), twice a second and
after each seal: no record outside the sealed segments was or will be received before this time. It
is the receipt of the oldest record that is not sealed, or now if there is none. A record is
stamped and submitted in one step of the loop, so the journal knows every stamped record.

`change_series` ends one series and begins another: the old writer commits and seals the records
submitted before the call, the new writer gets those submitted after it.

A batch for which the disk has no room fails with DiskFull and is not in the log. Any other failure
breaks the journal: every waiting record fails with JournalBroken, `on_broken` is called once, and
the process must exit. The next process recovers the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from etl.log.segment_writer import DiskFull, SegmentWriter
from service.collector.clock import Clock
from service.collector.journal.batch import Batch, JournalBroken, JournalFull
from service.collector.journal.disk_thread import DiskThread

log = logging.getLogger(__name__)

BUFFER_BYTES_MAX = 8 << 20
BUFFER_LINES_MAX = 20_000
_DISK_FULL_REMEMBERED_S = 5.0
_PUBLISH_EVERY_S = 0.5
_NEVER_S = float("-inf")


class _Shared(asyncio.Future[None]):
    """A future with many waiters. A waiter must not cancel it for the others."""

    def cancel(self, _: object = None) -> bool:
        """Return False: the future stays, and a cancelled waiter ends when it resolves."""
        return False


@dataclass(slots=True)
class _Successor:
    """The writer of the next series; it writes once the `last` batch of this one is sealed."""

    writer: SegmentWriter
    last: Batch
    sealed: asyncio.Future[None]


class Journal:
    """The journal of one collector. Call every method on the event loop that called `start`."""

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
        self._wake = asyncio.Event()
        self._seal_due = self._closing = self._broken = False
        self._disk_full_at_s = _NEVER_S
        self._age_timer: asyncio.TimerHandle | None = None
        self._in_flight: Batch | None = None
        # The receipt of the oldest record of the open segment.
        self._open_us: int | None = None
        self._published_us = clock.latest_us
        self._successor: _Successor | None = None
        self.clock_fell = asyncio.Event()
        self._clock_handled: _Shared | None = None

    def start(self) -> None:
        """Start the committer on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._disk = DiskThread()
        self._forming = Batch()
        self._committer = self._loop.create_task(self._commit_regularly())
        self._committer.add_done_callback(self._committer_ended)
        self._publisher = self._loop.create_task(self._publish_regularly())

    def submit(self, payload: bytes, received_us: int) -> Batch:
        """Queue one record, the bytes of a JSON object, and return its batch.

        `received_us` must have been read from the clock in this step of the loop. A batch that is
        lost pays with DiskFull or JournalBroken. Raises JournalFull, JournalBroken.
        """
        forming = self._forming_with_room(1, len(payload), received_us)
        forming.payloads.append(payload)
        return forming

    def submit_all(self, payloads: Sequence[bytes], received_us: int) -> Batch:
        """Queue records, at least one, or none of them if not all fit; else as `submit`.

        They become durable, or are lost, together.
        """
        size_bytes = sum(map(len, payloads))
        forming = self._forming_with_room(len(payloads), size_bytes, received_us)
        forming.payloads += payloads
        return forming

    def _forming_with_room(self, lines: int, size_bytes: int, received_us: int) -> Batch:
        """Return the forming batch, with the bytes counted of lines that must be added to it."""
        if received_us < self._published_us:
            raise RuntimeError("a record was stamped before the promise of its series")
        if self._broken or self._closing:
            raise JournalBroken("the log is closed")
        forming = self._forming
        bytes_after = forming.size_bytes + size_bytes
        lines_after = len(forming.payloads) + lines
        if bytes_after > self._buffer_bytes_max or lines_after > self._buffer_lines_max:
            raise JournalFull("the log's buffer is full")
        if forming.first_us is None:
            forming.first_us = received_us
            self._wake.set()
        forming.size_bytes = bytes_after
        return forming

    def clock_wait(self) -> asyncio.Future[None] | None:
        """Return the future to await before a record is stamped; None, unless the clock fell back.

        The task that waits for `clock_fell` resolves it: it calls `change_series`, and then
        `release_waiting` whether or not the series changed.
        """
        if not self._clock.has_fallen() or self._closing or self._broken:
            return None
        if self._clock_handled is None:
            self._clock_handled = _Shared()
        self.clock_fell.set()
        return self._clock_handled

    def release_waiting(self) -> None:
        """Let all who wait for the clock continue, even if it is still wrong."""
        self.clock_fell.clear()
        if self._clock_handled:
            self._clock_handled.set_result(None)
            self._clock_handled = None

    async def change_series(self, writer: SegmentWriter, begins_us: int) -> None:
        """Continue in a new series from `begins_us` on; return once the old one is sealed.

        Raises JournalBroken.
        """
        if self._broken or self._closing or self._successor:
            raise JournalBroken("the log is closed")
        sealed = self._loop.create_future()
        self._successor = _Successor(writer, self._forming, sealed)
        self._forming = Batch()
        self._clock.restart(begins_us)
        self._published_us = begins_us
        self._wake.set()
        await asyncio.wait([sealed, self._committer], return_when=asyncio.FIRST_COMPLETED)
        if not sealed.done():
            raise JournalBroken("the log cannot be written")

    def closed_us(self) -> int:
        """Return the time before which all records are sealed and no new one will be stamped."""
        in_flight_us = self._in_flight.first_us if self._in_flight else None
        for oldest_us in (self._open_us, in_flight_us, self._forming.first_us):
            if oldest_us is not None:
                return oldest_us
        return self._clock.now_us()

    def why_not_ready(self) -> list[str]:
        """Return the reasons why no record can be stored now; empty if records can be stored."""
        if self._broken:
            return ["the log cannot be written"]
        full_lately = self._loop.time() - self._disk_full_at_s < _DISK_FULL_REMEMBERED_S
        try:
            full = full_lately or not self._writer.has_space()
        except OSError:
            return ["the disk cannot be read"]
        return ["the disk is full"] if full else []

    async def close(self) -> None:
        """Commit the forming batch, seal the open segment, and end the committer."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._committer])
        self._publisher.cancel()
        with suppress(asyncio.CancelledError):
            await self._publisher
        self._disk.close()

    async def _commit_regularly(self) -> None:
        while self._forming.payloads or self._successor or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if self._successor:
                await self._hand_over(self._successor)
            if self._forming.payloads:
                batch, self._forming = self._forming, Batch()
                await self._commit(batch)
            if self._seal_due or self._writer.is_full:
                await self._seal()
            if self._forming.payloads or self._successor:
                self._wake.set()
        await self._seal()

    async def _commit(self, batch: Batch) -> None:
        self._in_flight = batch
        try:
            await self._disk.run(partial(self._writer.commit, batch.payloads))
        except DiskFull as error:
            if self._disk_full_at_s == _NEVER_S:  # once, until a batch succeeds
                log.error("the disk refuses events", extra={"fields": {"why": str(error)}})
            self._disk_full_at_s = self._loop.time()
            self._in_flight = None
            batch.settle(error)
            return
        self._disk_full_at_s = _NEVER_S
        if self._open_us is None:
            self._open_us = batch.first_us
        self._in_flight = None
        batch.settle(None)
        if self._age_timer is None:
            self._age_timer = self._loop.call_later(self._segment_age_s, self._age_reached)

    async def _hand_over(self, successor: _Successor) -> None:
        """Commit and seal the records of this series, then continue with the successor's writer.

        No promise is published meanwhile: the clock is already that of the new series.
        """
        if successor.last.payloads:
            await self._commit(successor.last)
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
        sealed = await self._disk.run(self._writer.seal)
        if sealed:
            fields = {"series": sealed.series, "segment": sealed.number, "lines": sealed.lines}
            log.debug("segment sealed", extra={"fields": fields})
        self._open_us = None
        await self._publish()

    async def _publish_regularly(self) -> None:
        while True:
            await asyncio.sleep(_PUBLISH_EVERY_S)
            await self._publish()

    async def _publish(self) -> None:
        """Publish the promise if it has moved. After a failure, the next call publishes again."""
        if self._successor or self._broken:
            return
        closed_us = self.closed_us()
        if closed_us <= self._published_us:
            return
        self._published_us = closed_us
        try:
            await self._disk.run(partial(self._writer.publish, closed_us))
        except OSError as error:
            log.error("a promise was not published", extra={"fields": {"why": str(error)}})

    def _committer_ended(self, committer: asyncio.Task[None]) -> None:
        error = None if committer.cancelled() else committer.exception()
        if self._closing and error is None:
            return
        self._broken = True
        log.critical("the log cannot be written any more", exc_info=error)
        batches = [self._forming, self._in_flight]
        if self._successor:
            batches.append(self._successor.last)
        for batch in batches:
            if batch:
                batch.settle(JournalBroken("the log cannot be written"))
        self._on_broken()
