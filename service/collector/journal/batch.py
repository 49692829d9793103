"""A batch of records that become durable together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Payee: TypeAlias = Callable[[Exception | None], object]
"""A function to call once a batch is durable, or with the error because of which it is lost."""


class JournalFull(Exception):
    """The buffer is full, because clients send faster than the disk writes."""


class JournalBroken(Exception):
    """This process can no longer write the log."""


@dataclass(slots=True)
class Batch:
    """Records in the order of their receipt, and the payees of those who wait for them."""

    payloads: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    first_us: int | None = None
    """The receipt of the oldest record."""
    owe: Callable[[Payee], None] = field(init=False)
    """Register a payee. Call it in the step of the loop that submitted the record."""
    _payees: list[Payee] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owe = self._payees.append

    def settle(self, error: Exception | None) -> None:
        """Pay all payees in the next turn of the loop, in the order of `owe`; each one only once.

        The records are dropped, because a reply may refer to its batch until it is sent.
        None for a batch that is durable, or the error because of which it is lost.
        """
        self.payloads = []
        payees, self._payees = self._payees, []
        if payees:
            asyncio.get_running_loop().call_soon(_pay, iter(payees), error)


def _pay(payees: Iterator[Payee], error: Exception | None) -> None:
    try:
        for pay in payees:
            pay(error)
    except Exception:
        # The defect of one payee must not keep the others from being paid.
        asyncio.get_running_loop().call_soon(_pay, payees, error)
        raise
