"""How many examples a test is tried with: all, or the share that EXAMPLES_SHARE names."""

import os
from collections.abc import Sequence
from typing import TypeVar

SHARE = float(os.environ.get("EXAMPLES_SHARE", "1"))

STRIDE = round(1 / SHARE)
"""The distance between the cases that a run tries, if it counts them itself; 1 for all."""

T = TypeVar("T")


def examples(count: int) -> int:
    """Return the share of `count`; at least one."""
    return max(1, round(count * SHARE))


def share(cases: Sequence[T]) -> Sequence[T]:
    """Return the share of listed cases: every fifth of them, for example."""
    return cases[:: round(1 / SHARE)]
