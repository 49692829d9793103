"""The collector's clock: wall time for receipts, monotonic time for the throttle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.log import claiming


@dataclass(slots=True)
class Clock:
    """Wall time that never goes back, and monotonic time for measuring.

    Receipts of a series must not go back, even if the system's clock does. So the clock starts at
    the beginning of the series, `latest_us`, and stands still until the system's clock has passed
    that. If the system's clock fell back far (`has_fallen`), the owner of this clock begins a new
    series and calls `restart`.
    """

    latest_us: int = 0
    wall_ns: Callable[[], int] = field(default=time.time_ns)
    monotonic_s: Callable[[], float] = field(default=time.monotonic)

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        self.latest_us = max(self.latest_us, self.wall_ns() // 1000)
        return self.latest_us

    def wall_us(self) -> int:
        """Return the system's time, in microseconds since the epoch."""
        return self.wall_ns() // 1000

    def behind_us(self) -> int:
        """Return how far the system's clock is behind the latest stamp; at most 0 if it is not."""
        return self.latest_us - self.wall_us()

    def has_fallen(self) -> bool:
        """Return whether the system's clock fell back too far to wait for it."""
        return self.latest_us - self.wall_ns() // 1000 > claiming.CLOCK_STEP_MAX_US

    def restart(self, begins_us: int) -> None:
        """Continue from `begins_us`, even if it is earlier than the latest stamp."""
        self.latest_us = begins_us
