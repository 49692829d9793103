"""A value that is not known yet, so that a function that nearly never waits can stay plain.

A function that returns `T | Waiting[T]` costs no coroutine, future or task while it need not wait.
If it must, its caller continues later, and nothing that was done before the wait is done again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Waiting(Generic[T]):
    """A value that is not known yet: await `awaited`, then call `resume` with its result."""

    __slots__ = ("awaited", "resume")

    def __init__(self, awaited: Awaitable[Any], resume: Callable[[Any], T | Waiting[T]]) -> None:
        self.awaited = awaited
        self.resume = resume

    def then(self, step: Callable[[T], U | Waiting[U]]) -> Waiting[U]:
        """Return the result of applying a step to the value, which is not known yet either."""
        return Waiting(self.awaited, lambda result: then(self.resume(result), step))


def then(value: T | Waiting[T], step: Callable[[T], U | Waiting[U]]) -> U | Waiting[U]:
    """Apply a step to a value, now or once the value is known."""
    return value.then(step) if isinstance(value, Waiting) else step(value)


async def known(value: T | Waiting[T]) -> T:
    """Return a value once it is known."""
    while isinstance(value, Waiting):
        value = value.resume(await value.awaited)
    return value
