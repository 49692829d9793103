"""A batch of records that become durable together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


class JournalFull(Exception):
    """The buffer is at its maximum: the disk is slower than the clients."""


class JournalBroken(Exception):
    """This process can no longer write the log."""


class Shared(asyncio.Future[None]):
    """A future for many waiters, none of which can cancel it for the others."""

    def cancel(self, _: object = None) -> bool:
        """Refuse: a waiter that is cancelled ends when the future is done."""
        return False


@dataclass(slots=True)
class Batch:
    """Records in the order of their receipt. `durable` resolves when all of them are synced."""

    payloads: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    first_us: int | None = None
    """The receipt of the oldest record."""
    durable: Shared = field(default_factory=Shared)

    def fail(self, error: Exception) -> None:
        """Raise the error in every waiter, unless the batch is done."""
        if not self.durable.done():
            self.durable.set_exception(error)
            self.durable.exception()  # retrieved: the waiters may have gone
