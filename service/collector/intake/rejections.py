"""Store rejected payloads. Those rejected because of our own failure must be stored."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE
from service.collector.intake.outcome import Owed, Reply, Unavailable
from service.collector.intake.submission import Request
from service.collector.record import REJECTED_BODY_BYTES_MAX
from service.collector.rejected import RejectedStream


def keep(
    stream: RejectedStream, endpoint: str, rejection: Rejection, request: Request, reply: Reply
) -> Reply | Owed:
    """Store a rejected payload if the budget allows it, and return its reply.

    A payload rejected because the directory cannot be read may be the only copy of an event. Raises
    Unavailable if such a payload cannot be stored whole, so that the client sends it again.
    """
    is_only_copy = rejection is DIRECTORY_UNAVAILABLE
    body = request.submission.body
    if is_only_copy and len(body) > REJECTED_BODY_BYTES_MAX:
        raise Unavailable(rejection.message)
    batch = stream.keep(endpoint, rejection, body, request.address)
    if batch is not None:
        return Owed(batch, reply, rejection.message if is_only_copy else None)
    if is_only_copy:
        raise Unavailable(rejection.message)
    return reply
