"""A batch of records that become durable together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


class JournalFull(Exception):
    """The buffer is full, because clients send faster than the disk writes."""


class JournalBroken(Exception):
    """This process can no longer write the log."""


class Shared(asyncio.Future[None]):
    """A future with many waiters. A waiter must not cancel it for the others."""

    def cancel(self, _: object = None) -> bool:
        """Return False: the future stays, and a cancelled waiter ends when it resolves."""
        return False


@dataclass(slots=True)
class Batch:
    """Records in the order of their receipt. `durable` resolves once all of them are synced."""

    payloads: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    first_us: int | None = None
    """The receipt of the oldest record."""
    durable: Shared = field(default_factory=Shared)

    def fail(self, error: Exception) -> None:
        """Raise the error in every waiter; do nothing if the batch is done."""
        if not self.durable.done():
            self.durable.set_exception(error)
            self.durable.exception()  # read once, so that asyncio logs nothing if no waiter is left
