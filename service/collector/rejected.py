"""The rejected stream: rejected payloads are data, stored with their reason, within a budget.

Anyone can send payloads that are rejected, so their storage is bounded: in bytes per payload, and
in bytes per minute, of which each address has a share. Beyond a bound, or while the log takes no
record, the payload is dropped; the reply is the same.
"""

from __future__ import annotations

from service.collector import record
from service.collector.clock import Clock
from service.collector.context.redaction import redacted
from service.collector.contract.rejection import Rejection
from service.collector.journal import Batch, Journal, JournalBroken, JournalFull
from service.collector.throttle.token_bucket import MemoryThrottle, Rate

_BYTES_PER_TOKEN = 1024
_TOKENS_PER_MIN_MAX = 60_000_000
_SHARES = 8
_PAYLOAD_TOKENS_MAX = 64
_ADDRESSES_MAX = 4096


class ByteBudget:
    """A budget of bytes per minute, counted in whole KiB; less than one KiB is no budget.

    An address has an eighth of it, but at least 64 KiB, enough for one payload of the largest size.
    """

    def __init__(self, bytes_per_min: int) -> None:
        tokens = min(bytes_per_min // _BYTES_PER_TOKEN, _TOKENS_PER_MIN_MAX)
        self._share = min(tokens, max(tokens // _SHARES, _PAYLOAD_TOKENS_MAX))
        self._all = MemoryThrottle(_per_minute(tokens), keys_max=1)
        self._of_addresses = MemoryThrottle(_per_minute(self._share), _ADDRESSES_MAX)

    def take(self, size_bytes: int, address: str, now_s: float) -> bool:
        """Take the bytes, at least 1, at `now_s` (monotonic); return whether there were enough."""
        cost = -(-size_bytes // _BYTES_PER_TOKEN)
        return (
            cost <= self._share
            and self._of_addresses.allow(address, now_s, cost).allowed
            and self._all.allow("", now_s, cost).allowed
        )


def _per_minute(tokens: int) -> Rate:
    return Rate(per_s=max(tokens, 1) / 60, burst=max(tokens, 1))


class RejectedStream:
    """The rejected payloads of one collector."""

    def __init__(
        self, journal: Journal, clock: Clock, budget: ByteBudget, *, schema_version: str
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._budget = budget
        self._schema_version = schema_version

    def keep(self, endpoint: str, rejection: Rejection, body: bytes, address: str) -> Batch | None:
        """Submit a rejected payload, cut to its maximum; return its batch, None if dropped.

        The parts of a context that are never stored are taken out of the body first.
        Call it in a step of the loop that may stamp records: see `Journal.clock_wait`.
        """
        received_us = self._clock.now_us()
        payload = record.rejected(
            endpoint=endpoint,
            reason=rejection.slug,
            errors=rejection.errors,
            schema_version=self._schema_version,
            raw_body=redacted(body),
            received_us=received_us,
        )
        if not self._budget.take(len(payload), address, self._clock.monotonic_s()):
            return None
        try:
            return self._journal.submit(payload, received_us)
        except (JournalFull, JournalBroken):
            return None
