"""The collector's time: what stamps receipts, and what throttles measure with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.log import claiming


@dataclass(slots=True)
class Clock:
    """Wall time that never goes back, and monotonic time for measuring.

    Receipts of a series must not go back, not even where the system's clock is stepped: `latest_us`
    starts from where the series begins, and the clock stands still until the system passes it.
    Where the system fell far `behind_us`, its owner begins a new series and restarts it.
    """

    latest_us: int = 0
    wall_ns: Callable[[], int] = field(default=time.time_ns)
    monotonic_s: Callable[[], float] = field(default=time.monotonic)

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        self.latest_us = max(self.latest_us, self.wall_us())
        return self.latest_us

    def wall_us(self) -> int:
        """The system's time, in microseconds since the epoch."""
        return self.wall_ns() // 1000

    def behind_us(self) -> int:
        """How far the system's clock is below the latest stamp; 0 or less where it is not."""
        return self.latest_us - self.wall_us()

    def has_fallen(self) -> bool:
        """Whether the system's clock fell back too far to wait for it."""
        return self.behind_us() > claiming.CLOCK_STEP_MAX_US

    def restart(self, begins_us: int) -> None:
        """Go on from `begins_us`, though it is earlier than what was stamped."""
        self.latest_us = begins_us
