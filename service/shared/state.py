"""The state that all processes of one start share."""

from __future__ import annotations

from dataclasses import dataclass

from etl.trusted_clock import TrustedClock
from service.shared.heartbeat import Heartbeats


@dataclass(frozen=True, slots=True)
class Shared:
    """Heartbeats in shared memory, and a clock of which each process continues its own copy."""

    beats: Heartbeats
    clock: TrustedClock
