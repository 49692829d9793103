"""Store rejected payloads. Those rejected because of our own failure must be stored."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE
from service.collector.intake.submission import Unavailable
from service.collector.record import REJECTED_BODY_BYTES_MAX
from service.collector.rejected import RejectedStream


async def keep(
    stream: RejectedStream, endpoint: str, rejection: Rejection, body: bytes, address: str
) -> None:
    """Store a rejected payload if the budget allows it.

    A payload rejected because the directory cannot be read may be the only copy of an event. Raises
    Unavailable if such a payload cannot be stored whole, so that the client sends it again.
    """
    is_only_copy = rejection is DIRECTORY_UNAVAILABLE
    if is_only_copy and len(body) > REJECTED_BODY_BYTES_MAX:
        raise Unavailable(rejection.message)
    stored = await stream.keep(endpoint, rejection, body, address)
    if is_only_copy and not stored:
        raise Unavailable(rejection.message)
