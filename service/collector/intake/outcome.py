"""The outcome of a submission: a reply, a reply that is owed, or a wait.

An endpoint is a plain function that never waits, so an event costs no coroutine, future or task.
Nearly always it returns a Reply, or an Owed: the record is in a batch of the log, and the reply may
be sent once that batch is durable. If the directory must query its database, or the clock fell
back, it returns a Waiting, which says how to continue; nothing that was done before the wait is
done again. A server handles all three, or awaits `reply_of`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from service.collector.contract.rejection import Rejection
from service.collector.journal import Batch
from service.collector.throttle.gates import NO_HEADERS, Throttled

T = TypeVar("T")
U = TypeVar("U")

RETRY_AFTER_S = 2


class Reply(NamedTuple):
    """A response: HTTP status, JSON body and headers."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = NO_HEADERS


class Owed(NamedTuple):
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


class Waiting(Generic[T]):
    """A value that is not known yet: await `awaited`, then call `resume` with its result."""

    __slots__ = ("awaited", "resume")

    def __init__(self, awaited: Awaitable[Any], resume: Callable[[Any], T | Waiting[T]]) -> None:
        self.awaited = awaited
        self.resume = resume

    def then(self, step: Callable[[T], U | Waiting[U]]) -> Waiting[U]:
        """Return the result of applying a step to the value, which is not known yet either."""
        return Waiting(self.awaited, lambda result: then(self.resume(result), step))


Outcome: TypeAlias = Reply | Owed | Waiting[Reply | Owed]


class Unavailable(Exception):
    """The event could not be stored. The client still has it, and should send it again."""


def then(value: T | Waiting[T], step: Callable[[T], U | Waiting[U]]) -> U | Waiting[U]:
    """Apply a step to a value, now or once the value is known."""
    return value.then(step) if isinstance(value, Waiting) else step(value)


async def known(value: T | Waiting[T]) -> T:
    """Return a value once it is known."""
    while isinstance(value, Waiting):
        value = value.resume(await value.awaited)
    return value


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
