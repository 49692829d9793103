"""Draws in proportion to weights."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class Weighted(Generic[T]):
    """Values that are drawn in proportion to their weights."""

    def __init__(self, values: Sequence[T], weights: Sequence[float]) -> None:
        """Give each value the weight at its index."""
        self._values = values
        self._cumulated = list(accumulate(weights))

    @classmethod
    def zipf(cls, values: Sequence[T]) -> "Weighted[T]":
        """Return values of which the n-th is drawn about n times less often than the first."""
        return cls(values, [rank**-1.1 for rank in range(1, len(values) + 1)])

    def draw(self, rng: Random) -> T:
        """Return one value."""
        return rng.choices(self._values, cum_weights=self._cumulated)[0]
