"""The parts that the endpoints of one collector share."""

from __future__ import annotations

from dataclasses import dataclass

from service.collector.contract.batch import BODY_BYTES_MAX
from service.collector.contract.contract import Contract
from service.collector.directory.directory import Directory
from service.collector.intake.events import EventStream
from service.collector.rejected import RejectedStream
from service.collector.signing.verifier import Verifier
from service.collector.throttle.gates import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The collaborators of the endpoints, and the largest bodies of an event and of a batch.

    Bytes are counted after decompression.
    """

    contract: Contract
    directory: Directory
    verifier: Verifier
    gates: Gates
    events: EventStream
    rejected: RejectedStream
    body_bytes_max: int = 64 << 10
    batch_bytes_max: int = BODY_BYTES_MAX
