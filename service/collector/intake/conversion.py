"""POST /api/v1/analytics/conversion: a beacon after a payment.

It must not disturb its page, so the reply to any fault of the payload is 200 `skipped`, with the
slug of the rejection as its `reason`.
"""

from __future__ import annotations

from service.collector.contract.payload import transaction_id_of
from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import Verdict
from service.collector.intake.kinds import ConversionKind
from service.collector.intake.outcome import Outcome, Reply
from service.collector.intake.parts import Parts
from service.collector.intake.single import SingleEndpoint
from service.collector.intake.submission import Request


class ConversionEndpoint(SingleEndpoint):
    """The endpoint. Replies: 200 `ok` or `skipped`; 429, 503."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, ConversionKind(parts))

    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        if isinstance(verdict, Rejection):
            return self._keep(request, verdict, _reply(request, "skipped", reason=verdict.slug))
        return self._store(request, verdict).owe(_reply(request, "ok"))


def _reply(request: Request, status: str, **fields: str) -> Reply:
    transaction_id = transaction_id_of(request.content)
    body = {"status": status, "transaction_id": transaction_id, **fields}
    return Reply(200, body, request.quota)
