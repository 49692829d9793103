"""A batch of the journal as a future, for tests that await it."""

from __future__ import annotations

import asyncio

from service.collector.journal import Batch


def receipt(batch: Batch) -> asyncio.Future[None]:
    """Return a future that resolves once the batch is durable, or raises why it is lost."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pay(error: Exception | None) -> None:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    batch.owe(pay)
    return future
