"""The rejected stream: refused payloads are data, kept with their reason, within a budget.

What is refused costs a client nothing to send, so what is kept of it is bounded: in bytes a
payload and in bytes a minute, of which one address has a share. Past any bound, or where the log
takes nothing now, a payload is not kept, and the answer to it stays what it was.
"""

from __future__ import annotations

from etl.log.segment_writer import DiskFull
from service.collector import record
from service.collector.clock import Clock
from service.collector.contract.rejection import Rejection
from service.collector.journal import Journal, JournalBroken, JournalFull
from service.collector.throttle.token_bucket import MemoryThrottle, Rate

_BYTES_A_TOKEN = 1024
_TOKENS_PER_MIN_MAX = 60_000_000
_SHARES = 8
_PAYLOAD_TOKENS_MAX = 64
_ADDRESSES_MAX = 4096


class ByteBudget:
    """So many bytes in any minute, in steps of a KiB; below one KiB none at all.

    One address has an eighth of them, but room for one payload of the largest size at least.
    """

    def __init__(self, bytes_per_min: int) -> None:
        tokens = min(bytes_per_min // _BYTES_A_TOKEN, _TOKENS_PER_MIN_MAX)
        self._share = min(tokens, max(tokens // _SHARES, _PAYLOAD_TOKENS_MAX))
        self._all = MemoryThrottle(_a_minute(tokens), keys_max=1)
        self._of_addresses = MemoryThrottle(_a_minute(self._share), _ADDRESSES_MAX)

    def take(self, size_bytes: int, address: str, now_s: float) -> bool:
        """Take so many bytes, at least one, at `now_s` (monotonic), or refuse."""
        cost = -(-size_bytes // _BYTES_A_TOKEN)
        return (
            cost <= self._share
            and self._of_addresses.allow(address, now_s, cost).allowed
            and self._all.allow("", now_s, cost).allowed
        )


def _a_minute(tokens: int) -> Rate:
    return Rate(per_s=max(tokens, 1) / 60, burst=max(tokens, 1))


class RejectedStream:
    """Where refused payloads go."""

    def __init__(
        self, journal: Journal, clock: Clock, budget: ByteBudget, *, schema_version: str
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._budget = budget
        self._schema_version = schema_version

    async def keep(self, endpoint: str, refusal: Rejection, body: bytes, address: str) -> bool:
        """Store a refused payload of an address; whether it is on disk, in whole or cut to its
        maximum."""
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
        if not self._budget.take(len(payload), address, self._clock.monotonic_s()):
            return False
        try:
            await self._journal.submit(payload, received_us)
        except (JournalFull, JournalBroken, DiskFull):
            return False
        return True
