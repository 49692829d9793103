"""POST /api/v1/interactions: an interaction with a tenant, limited per address and per tenant."""

from __future__ import annotations

from service.collector.client import throttle_key
from service.collector.contract.rejection import Rejection
from service.collector.intake import reading, rejections
from service.collector.intake.admission import (
    DIRECTORY_UNAVAILABLE,
    PRODUCT_NOT_FOUND,
    TENANT_NOT_FOUND,
    Admission,
    Admitted,
    TenantLookup,
)
from service.collector.intake.parts import Parts
from service.collector.intake.submission import (
    Reply,
    Submission,
    Unavailable,
    rejected,
    throttled,
    unavailable,
)
from service.collector.throttle.gates import NO_HEADERS, Throttled, quota_headers
from service.collector.throttle.token_bucket import Decision

_SILENT = (TENANT_NOT_FOUND, DIRECTORY_UNAVAILABLE)


class InteractionsEndpoint:
    """The endpoint. Replies: 201 `success`; 202 `accepted` (no tenant); 400 to 422, 429, 503."""

    def __init__(self, parts: Parts) -> None:
        self._address_gate = parts.gates.interactions
        self._tenant_gate = parts.gates.interactions_tenant
        self._body_bytes_max = parts.body_bytes_max
        self._check = parts.contract.interaction
        self._lookup = TenantLookup.by_id(parts.directory)
        self._admission = Admission(parts.directory, parts.verifier)
        self._events = parts.events
        self._rejected = parts.rejected

    async def reply(self, submission: Submission) -> Reply:
        """Reply to one request. Every reply but a 429 has the quota of its tenant."""
        gate, headers = self._address_gate, NO_HEADERS
        address = throttle_key(submission.ip)
        try:
            gate.enter(address, len(submission.body))
            plain = reading.plain(submission, gate, address, bytes_max=self._body_bytes_max)
            payload = reading.payload(reading.json_body(plain), self._check)
            admitted = await self._lookup.tenant(payload, address)
            headers = quota_headers(self._enter_tenant(admitted, len(plain.body), address))
            status, body, _ = await self._reply_to(admitted, plain, address)
        except Throttled as error:
            return throttled(error)
        except Unavailable as error:
            return unavailable(str(error), headers)
        return Reply(status, body, headers)

    def _enter_tenant(
        self, admitted: Admitted | Rejection, size_bytes: int, address: str
    ) -> Decision | None:
        """Pass the tenant's gate. Rejected payloads share one key per address instead."""
        if isinstance(admitted, Rejection):
            return self._tenant_gate.enter(f"ip:{address}", 0)
        return self._tenant_gate.enter(admitted.throttle_key, size_bytes)

    async def _reply_to(
        self, admitted: Admitted | Rejection, submission: Submission, address: str
    ) -> Reply:
        checked = admitted
        if isinstance(admitted, Admitted) and admitted.payload.product_id is not None:
            checked = await self._admission.with_product(admitted, address)
            if checked is PRODUCT_NOT_FOUND:
                checked = admitted._replace(payload=admitted.payload._replace(product_id=None))
        if isinstance(checked, Rejection):
            await rejections.keep(self._rejected, "interactions", checked, submission.body, address)
            silent = checked in _SILENT
            return Reply(202, {"status": "accepted"}) if silent else rejected(checked)
        await self._events.store("interactions", checked, submission)
        return Reply(201, {"status": "success"})
