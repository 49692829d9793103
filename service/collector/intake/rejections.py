"""Keep rejected payloads, above all those that were rejected for a fault of ours."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE
from service.collector.intake.submission import Unavailable
from service.collector.record import REJECTED_BODY_BYTES_MAX
from service.collector.rejected import RejectedStream


async def keep(
    stream: RejectedStream, endpoint: str, rejection: Rejection, body: bytes, address: str
) -> None:
    """Store a rejected payload, if there is room.

    A payload that is rejected because the directory cannot be read is the only copy of an event:
    raises Unavailable unless it is stored whole.
    """
    is_only_copy = rejection is DIRECTORY_UNAVAILABLE
    if is_only_copy and len(body) > REJECTED_BODY_BYTES_MAX:
        raise Unavailable(rejection.message)
    stored = await stream.keep(endpoint, rejection, body, address)
    if is_only_copy and not stored:
        raise Unavailable(rejection.message)
