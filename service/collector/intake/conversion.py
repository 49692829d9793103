"""POST /api/v1/analytics/conversion: a beacon after a payment.

It must not disturb its page, so the reply to any fault of the payload is 200 `skipped`.
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
            return self._keep(request, verdict, _reply("skipped", request))
        return self._store(request, verdict).owe(_reply("ok", request))


def _reply(status: str, request: Request) -> Reply:
    fields = {"status": status, "transaction_id": transaction_id_of(request.content)}
    return Reply(200, fields, request.quota)
