"""POST /api/v1/analytics/conversion: a beacon after a payment.

It must not disturb its page, so the reply to any fault of the payload is 200 `skipped`.
"""

from __future__ import annotations

from service.collector.contract.payload import transaction_id_of
from service.collector.contract.rejection import Rejection
from service.collector.intake import rejections
from service.collector.intake.admission import TenantLookup, Verdict
from service.collector.intake.api import ApiEndpoint
from service.collector.intake.outcome import Outcome, Reply
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Request


class ConversionEndpoint(ApiEndpoint):
    """The endpoint. Replies: 200 `ok` or `skipped`; 429, 503."""

    NAME = "conversion"
    TAKES_SIGNATURE = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, TenantLookup.by_slug(parts.directory), parts.contract.conversion)

    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        if isinstance(verdict, Rejection):
            reply = _reply("skipped", request)
            return rejections.keep(self._rejected, self.NAME, verdict, request, reply)
        return self._store(verdict, request).owe(_reply("ok", request))


def _reply(status: str, request: Request) -> Reply:
    fields = {"status": status, "transaction_id": transaction_id_of(request.content)}
    return Reply(200, fields, request.quota)
