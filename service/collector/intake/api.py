"""The steps that the endpoints of throttle group `api` share: track and conversion."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.intake import reading
from service.collector.intake.admission import Admission, Admitted, TenantLookup, Verdict
from service.collector.intake.endpoint import Endpoint
from service.collector.intake.events import Stored
from service.collector.intake.outcome import Outcome, Waiting
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Request
from service.collector.signing.verifier import SignedBody
from service.collector.throttle.gates import quota_headers


class ApiEndpoint(Endpoint):
    """An endpoint that is limited by address. Every reply but a 429 has the address's quota."""

    NAME: ClassVar[str]
    TAKES_SIGNATURE: ClassVar[bool]

    def __init__(
        self,
        parts: Parts,
        lookup: TenantLookup,
        check: Callable[[object], Payload | Rejection],
    ) -> None:
        super().__init__(parts)
        self._gates = parts.gates
        self._body_bytes_max = parts.body_bytes_max
        self._check = check
        self._lookup = lookup
        self._admission = Admission(parts.directory, parts.verifier)
        self._events = parts.events
        self._rejected = parts.rejected

    @abstractmethod
    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        """Store an admitted or rejected payload. Raises Throttled, Unavailable."""

    def _receive(self, request: Request) -> Outcome:
        gate = self._gates.api
        request.quota = quota_headers(gate.enter(request.address, len(request.submission.body)))
        reading.decompress(request, gate, bytes_max=self._body_bytes_max)
        payload = reading.payload(request, self._check)
        found = self._lookup.tenant(payload, request.address)
        if isinstance(found, Waiting):
            return found.then(partial(self._tenant_found, request))
        return self._tenant_found(request, found)

    def _tenant_found(self, request: Request, found: Verdict) -> Outcome:
        submission, signed_body = request.submission, None
        if self.TAKES_SIGNATURE and submission.signature is not None:
            signed_body = SignedBody(submission.body, submission.signature)
        verified = self._admission.verified(found, signed_body)
        admitted = self._admission.with_product(verified, request.address)
        if isinstance(admitted, Waiting):
            return admitted.then(partial(self._reply_to, request))
        return self._reply_to(request, admitted)

    def _store(self, admitted: Admitted, request: Request) -> Stored:
        """Take the bytes from the tenant's limit and store the event. Raises as `_reply_to`."""
        submission = request.submission
        self._gates.api_tenant.add_bytes(admitted.throttle_key, len(submission.body))
        return self._events.store(self.NAME, admitted, submission)
