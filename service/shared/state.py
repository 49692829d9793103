"""The state that all processes of one start share."""

from __future__ import annotations

from dataclasses import dataclass

from etl.trusted_clock import TrustedClock
from service.shared.heartbeat import Heartbeats
from service.shared.throttle_counters import ThrottleCounters


@dataclass(frozen=True, slots=True)
class Shared:
    """Heartbeats and counters in shared memory; a clock that each process continues on its own."""

    beats: Heartbeats
    clock: TrustedClock
    throttle: ThrottleCounters | None = None
    """None if no server decides on the limits of this start."""
