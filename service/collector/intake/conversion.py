"""POST /api/v1/analytics/conversion: a beacon after a payment.

It must not disturb its page, so the reply to any fault of the payload is 200 `skipped`.
"""

from __future__ import annotations

from service.collector.contract.payload import transaction_id_of
from service.collector.contract.rejection import Rejection
from service.collector.intake import reading, rejections
from service.collector.intake.admission import TenantLookup
from service.collector.intake.api import ApiEndpoint
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Reply, Submission


class ConversionEndpoint(ApiEndpoint):
    """The endpoint. Replies: 200 `ok` or `skipped`; 429, 503."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, TenantLookup.by_slug(parts.directory))
        self._check = parts.contract.conversion

    async def _reply_to(self, submission: Submission, address: str) -> Reply:
        body = reading.json_body(submission)
        payload = reading.payload(body, self._check)
        admitted = await self._admit(payload, submission.body, submission.signature, address)
        if isinstance(admitted, Rejection):
            await rejections.keep(self._rejected, "conversion", admitted, submission.body, address)
            status = "skipped"
        else:
            await self._store("conversion", admitted, submission)
            status = "ok"
        return Reply(200, {"status": status, "transaction_id": transaction_id_of(body)})
