"""The rejected stream: refused payloads are data, kept with their reason, within a budget.

What is refused costs a client nothing to send, so what is kept of it is bounded: in bytes a
payload and in bytes a minute. Past either bound, or where the log takes nothing now, a payload is
not kept, and the answer to it stays what it was.
"""

from __future__ import annotations

from etl.segment_writer import DiskFull
from service.collector import record
from service.collector.clock import Clock
from service.collector.journal import Journal, JournalBroken, JournalFull
from service.collector.rejection import Rejection
from service.collector.throttle import MemoryThrottle, Rate

_BYTES_A_TOKEN = 1024
_TOKENS_PER_MIN_MAX = 60_000_000


class ByteBudget:
    """So many bytes in any minute, in steps of a KiB; below one KiB none at all."""

    def __init__(self, bytes_per_min: int) -> None:
        self._tokens = min(bytes_per_min // _BYTES_A_TOKEN, _TOKENS_PER_MIN_MAX)
        self._bucket = MemoryThrottle(
            Rate(per_s=max(self._tokens, 1) / 60, burst=max(self._tokens, 1)), keys_max=1
        )

    def take(self, size_bytes: int, now_s: float) -> bool:
        """Take so many bytes, at least one, at `now_s` (monotonic), or refuse."""
        cost = -(-size_bytes // _BYTES_A_TOKEN)
        return cost <= self._tokens and self._bucket.allow("", now_s, cost).allowed


class RejectedStream:
    """Where refused payloads go."""

    def __init__(
        self, journal: Journal, clock: Clock, budget: ByteBudget, *, schema_version: str
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._budget = budget
        self._schema_version = schema_version

    async def keep(self, endpoint: str, refusal: Rejection, body: bytes) -> bool:
        """Store a refused payload; whether it is on disk, in whole or cut to its maximum."""
        if self._clock.has_fallen():
            await self._journal.on_time()
        received_us = self._clock.now_us()
        payload = record.rejected(
            endpoint=endpoint,
            reason=refusal.slug,
            errors=refusal.errors,
            schema_version=self._schema_version,
            raw_body=body,
            received_us=received_us,
        )
        if not self._budget.take(len(payload), self._clock.monotonic_s()):
            return False
        try:
            await self._journal.submit(payload, received_us)
        except (JournalFull, JournalBroken, DiskFull):
            return False
        return True
