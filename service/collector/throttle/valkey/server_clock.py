"""The server's clock, as far as replies have shown it."""

from __future__ import annotations

import math
from collections.abc import Callable

_FORGOTTEN = 0.01


class ServerClock:
    """An estimate of the server's time that is hardly ever too late.

    A reply shows a time that the server's clock has passed by the time of its way back, so the
    latest estimate is the best one. The server's clock may be set back: therefore an earlier
    estimate counts a little, and after some hundred replies entirely.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._ahead_s = -math.inf

    def observe(self, server_s: float) -> None:
        """Take the time from a reply that has just arrived."""
        ahead_s = server_s - self._monotonic_s()
        if ahead_s < self._ahead_s:
            ahead_s = self._ahead_s - (self._ahead_s - ahead_s) * _FORGOTTEN
        self._ahead_s = ahead_s

    def now_s(self) -> float:
        """Return the server's time now, or a little earlier; minus infinity before any reply."""
        return self._monotonic_s() + self._ahead_s
