"""The outcome of a submission: a reply, a reply that is owed, or a wait.

An endpoint is a plain function that never waits, so an event costs no coroutine, future or task.
Nearly always it returns a Reply, or an Owed: the record is in a batch of the log, and the reply may
be sent once that batch is durable. If the directory must query its database, a server of the
throttle decides, or the clock fell back, it returns a Waiting, which says how to continue; nothing
that was done before the wait is done again. A server handles all three, or awaits `reply_of`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from service.collector.contract.rejection import Rejection
from service.collector.journal import Batch
from service.collector.throttle.gates import NO_HEADERS, Throttled
from service.collector.waiting import Waiting, known

RETRY_AFTER_S = 2


@dataclass(slots=True)
class Reply:
    """A response: HTTP status, JSON body and headers."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)


@dataclass(slots=True)
class Owed:
    """A reply that may be sent once `batch` is durable.

    `lost` is the message of the 503 to send if the batch is lost; None if the reply is the same.
    """

    batch: Batch
    reply: Reply
    lost: str | None

    def settled(self, error: Exception | None) -> Reply:
        """Return the reply once the batch is durable, or lost because of `error`."""
        if error is None or self.lost is None:
            return self.reply
        return unavailable(self.lost, self.reply.headers)


Outcome: TypeAlias = Reply | Owed | Waiting[Reply | Owed]


class Unavailable(Exception):
    """The event could not be stored. The client still has it, and should send it again."""


async def reply_of(outcome: Outcome) -> Reply:
    """Return the reply once it may be sent, for a server whose handlers are coroutines."""
    settled: Reply | Owed = await known(outcome)
    if isinstance(settled, Reply):
        return settled
    paid: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    settled.batch.owe(lambda error: None if paid.done() else paid.set_result(error))
    return settled.settled(await paid)


def throttled(error: Throttled) -> Reply:
    """Return a 429."""
    return Reply(429, {"success": False, "message": str(error)}, error.headers)


def unavailable(message: str, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """Return a 503 with these headers and Retry-After."""
    body = {"success": False, "message": message}
    return Reply(503, body, {**headers, "Retry-After": str(RETRY_AFTER_S)})


def rejected(rejection: Rejection, headers: Mapping[str, str]) -> Reply:
    """Return the reply to a rejected payload: its status, and its messages by field."""
    body: dict[str, object] = {"success": False, "message": rejection.message}
    if rejection.errors:
        body["errors"] = {name: list(messages) for name, messages in rejection.errors.items()}
    return Reply(rejection.status, body, headers)
