"""What all processes of one start have in common, made before they are forked."""

from __future__ import annotations

from dataclasses import dataclass

from etl.trusted_clock import TrustedClock
from service.shared.heartbeat import Heartbeats


@dataclass(frozen=True, slots=True)
class Shared:
    """`beats` is memory that they share; each goes on from `clock` by itself."""

    beats: Heartbeats
    clock: TrustedClock
