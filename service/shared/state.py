"""All that the processes of one start share."""

from __future__ import annotations

from dataclasses import dataclass

from etl.trusted_clock import TrustedClock
from service.shared.heartbeat import Heartbeats


@dataclass(frozen=True, slots=True)
class Shared:
    """`beats` is shared memory; of `clock` each process has a copy, which goes on by itself."""

    beats: Heartbeats
    clock: TrustedClock
