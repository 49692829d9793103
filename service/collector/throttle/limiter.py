"""The limits of one collector: its gates, and the work that keeps them deciding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.collector.clock import Clock
from service.collector.throttle.gates import Buckets, Gates


class Limiter(Protocol):
    """The gates of one collector; in shared memory, or asking a server (`valkey.limiter`)."""

    gates: Gates

    async def run(self) -> None:
        """Do what the gates need in the background, until cancelled."""

    def why_degraded(self) -> Sequence[str]:
        """Return why the limits do not hold as they should, if so."""


class SharedLimiter:
    """Limits over the collectors of one machine, which need nothing in the background."""

    def __init__(self, buckets: Buckets, clock: Clock) -> None:
        self.gates = Gates.of(buckets, clock)

    async def run(self) -> None:
        """See Limiter.run."""

    def why_degraded(self) -> Sequence[str]:
        """See Limiter.why_degraded."""
        return ()
