"""A share of the limits, for a machine that cannot ask how much the others take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from service.collector.throttle.gates import BucketTable
from service.collector.throttle.shared_memory import OverLimit
from service.collector.throttle.token_bucket import Decision, Rate


class Share:
    """A table of buckets in which a token costs `parts()` tokens: one part of each limit.

    A request that needs more than a part takes what the whole bucket holds, so none is impossible.
    """

    def __init__(
        self, table: BucketTable, rates: Sequence[Rate | None], parts: Callable[[], int]
    ) -> None:
        self._table = table
        self._bursts = [rate.burst if rate else 0 for rate in rates]
        self._parts = parts

    def take(self, key: str, now: float, costs: Sequence[int]) -> Decision | None:
        """See BucketTable.take; `remaining` counts the tokens of the part."""
        parts = self._parts()
        if parts == 1:
            return self._table.take(key, now, costs)
        whole = [
            max(cost, min(cost * parts, burst))
            for cost, burst in zip(costs, self._bursts, strict=True)
        ]
        try:
            decision = self._table.take(key, now, whole)
        except OverLimit as over:
            raise OverLimit(over.number, over.rate, _part(over.decision, parts)) from None
        return None if decision is None else _part(decision, parts)


def _part(decision: Decision, parts: int) -> Decision:
    return replace(decision, remaining=decision.remaining // parts)
