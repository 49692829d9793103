"""POST /api/v1/interactions: an interaction with a tenant, limited per address and per tenant."""

from __future__ import annotations

from functools import partial

from service.collector.contract.rejection import Rejection
from service.collector.intake import reading, rejections
from service.collector.intake.admission import (
    DIRECTORY_UNAVAILABLE,
    PRODUCT_NOT_FOUND,
    TENANT_NOT_FOUND,
    Admission,
    Admitted,
    TenantLookup,
    Verdict,
)
from service.collector.intake.endpoint import Endpoint
from service.collector.intake.outcome import Outcome, Reply, Waiting, rejected
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Request
from service.collector.throttle.gates import quota_headers
from service.collector.throttle.token_bucket import Decision

_NAME = "interactions"
_SILENT = (TENANT_NOT_FOUND, DIRECTORY_UNAVAILABLE)
_ACCEPTED = {"status": "accepted"}
_SUCCESS = {"status": "success"}


class InteractionsEndpoint(Endpoint):
    """The endpoint. Replies: 201 `success`; 202 `accepted` (no tenant); 400 to 422, 429, 503.

    Every reply but a 429 has the quota of its tenant.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._address_gate = parts.gates.interactions
        self._tenant_gate = parts.gates.interactions_tenant
        self._body_bytes_max = parts.body_bytes_max
        self._check = parts.contract.interaction
        self._lookup = TenantLookup.by_id(parts.directory)
        self._admission = Admission(parts.directory, parts.verifier)
        self._events = parts.events
        self._rejected = parts.rejected

    def _receive(self, request: Request) -> Outcome:
        gate = self._address_gate
        gate.enter(request.address, len(request.submission.body))
        reading.decompress(request, gate, bytes_max=self._body_bytes_max)
        payload = reading.payload(request, self._check)
        found = self._lookup.tenant(payload, request.address)
        if isinstance(found, Waiting):
            return found.then(partial(self._tenant_found, request))
        return self._tenant_found(request, found)

    def _tenant_found(self, request: Request, found: Verdict) -> Outcome:
        request.quota = quota_headers(self._enter_tenant(request, found))
        checked = self._admission.with_product(found, request.address)
        if isinstance(checked, Waiting):
            return checked.then(partial(self._reply_to, request, found))
        return self._reply_to(request, found, checked)

    def _enter_tenant(self, request: Request, found: Verdict) -> Decision | None:
        """Pass the tenant's gate. Rejected payloads share one key per address instead."""
        if isinstance(found, Rejection):
            return self._tenant_gate.enter(f"ip:{request.address}", 0)
        return self._tenant_gate.enter(found.throttle_key, len(request.submission.body))

    def _reply_to(self, request: Request, found: Verdict, checked: Verdict) -> Outcome:
        """Store the payload, without a product that does not exist."""
        if checked is PRODUCT_NOT_FOUND and isinstance(found, Admitted):
            checked = found._replace(payload=found.payload._replace(product_id=None))
        if isinstance(checked, Rejection):
            accepted = Reply(202, _ACCEPTED, request.quota)
            reply = accepted if checked in _SILENT else rejected(checked, request.quota)
            return rejections.keep(self._rejected, _NAME, checked, request, reply)
        stored = self._events.store(_NAME, checked, request.submission)
        return stored.owe(Reply(201, _SUCCESS, request.quota))
