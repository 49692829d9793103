"""Group commit: `submit` returns a future that resolves once the record is on disk.

Records wait in one bounded buffer. One committer takes all of them, writes and syncs them in one
batch in its own thread, then resolves the future that they share; while a batch syncs the next one
forms, so there is no timer and no waiting when there is nothing to wait for. The same committer
seals the segment on size, on age and on close, so that the writer is never used by two at once.

A batch that the disk has no room for fails with DiskFull and leaves no trace. Any other failure
breaks the journal: every waiting record fails with JournalBroken, `on_broken` is called once, and
the process is expected to exit; recovery takes over at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from etl.segment_writer import DiskFull, SegmentWriter

log = logging.getLogger(__name__)

BUFFER_BYTES_MAX = 8 << 20
BUFFER_LINES_MAX = 20_000
_REFUSAL_REMEMBERED_S = 5.0


class JournalFull(Exception):
    """The buffer is at its maximum: the disk is slower than the clients."""


class JournalBroken(Exception):
    """The log cannot be written any more by this process."""


class _Batch(asyncio.Future[None]):
    """Resolves when a batch is durable, whoever has stopped waiting for it meanwhile."""

    def cancel(self, _: object = None) -> bool:
        """One that waits cannot cancel it for all: its task is cancelled when the batch is done."""
        return False


class Journal:
    """The durable end of one worker. `start` and `close` it on the loop that submits."""

    def __init__(
        self,
        writer: SegmentWriter,
        *,
        segment_age_s: float,
        on_broken: Callable[[], None],
        buffer_bytes_max: int = BUFFER_BYTES_MAX,
        buffer_lines_max: int = BUFFER_LINES_MAX,
    ) -> None:
        self._writer = writer
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

    def start(self) -> None:
        """Start the committer on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._forming, self._in_flight = _Batch(), _Batch()
        self._committer = self._loop.create_task(self._commit_for_ever())
        self._committer.add_done_callback(self._committer_ended)

    def submit(self, payload: bytes) -> asyncio.Future[None]:
        """Queue one record, a JSON object's bytes. The future resolves after it was synced; it is
        that of all the records of the batch.

        Raises JournalFull or JournalBroken at once; the future raises DiskFull or JournalBroken.
        """
        if self._broken or self._closing:
            raise JournalBroken("the log is closed")
        bytes_after = self._buffered_bytes + len(payload)
        if bytes_after > self._buffer_bytes_max or len(self._payloads) >= self._buffer_lines_max:
            raise JournalFull("the log's buffer is full")
        self._buffered_bytes = bytes_after
        self._payloads.append(payload)
        self._wake.set()
        return self._forming

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
        self._thread.shutdown()

    async def _commit_for_ever(self) -> None:
        while self._payloads or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if self._payloads:
                await self._commit_batch()
            if self._seal_due or self._writer.is_full:
                await self._seal()
            if self._payloads:
                self._wake.set()
        await self._seal()

    async def _commit_batch(self) -> None:
        payloads, self._payloads = self._payloads, []
        self._in_flight, self._forming = self._forming, _Batch()
        self._buffered_bytes = 0
        try:
            await self._loop.run_in_executor(self._thread, self._writer.commit, payloads)
        except DiskFull as error:
            if self._refused_at_s == float("-inf"):  # said once, until a batch succeeds
                log.error("the disk refuses events", extra={"fields": {"why": str(error)}})
            self._refused_at_s = self._loop.time()
            _fail(self._in_flight, error)
            return
        self._refused_at_s = float("-inf")
        self._in_flight.set_result(None)
        if self._age_timer is None:
            self._age_timer = self._loop.call_later(self._segment_age_s, self._age_reached)

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

    def _committer_ended(self, committer: asyncio.Task[None]) -> None:
        error = None if committer.cancelled() else committer.exception()
        if self._closing and error is None:
            return
        self._broken = True
        log.critical("the log cannot be written any more", exc_info=error)
        self._payloads = []
        for batch in (self._in_flight, self._forming):
            if not batch.done():
                _fail(batch, JournalBroken("the log cannot be written"))
        self._on_broken()


def _fail(batch: _Batch, error: Exception) -> None:
    batch.set_exception(error)
    batch.exception()  # retrieved: whoever waited may have gone
