"""The collector's time: what stamps receipts, and what throttles measure with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Wall time that never goes back, and monotonic time for measuring.

    Receipts of a series must not go back, not even across a restart or a stepped system clock:
    `latest_us` starts from the series' last receipt, and the clock stands still until the system
    passes it.
    """

    latest_us: int = 0
    wall_ns: Callable[[], int] = field(default=time.time_ns)
    monotonic_s: Callable[[], float] = field(default=time.monotonic)

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        self.latest_us = max(self.latest_us, self.wall_ns() // 1000)
        return self.latest_us
