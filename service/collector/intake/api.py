"""The steps that the endpoints of throttle group `api` share: track and conversion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable

from service.collector.client import throttle_key
from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.intake import reading
from service.collector.intake.admission import Admission, Admitted, TenantLookup
from service.collector.intake.parts import Parts
from service.collector.intake.submission import (
    Reply,
    Submission,
    Unavailable,
    throttled,
    unavailable,
)
from service.collector.throttle.gates import NO_HEADERS, Throttled, quota_headers


class ApiEndpoint(ABC):
    """An endpoint that is limited by address. Subclasses process the decompressed submission."""

    def __init__(self, parts: Parts, lookup: TenantLookup) -> None:
        self._lookup = lookup
        self._gates = parts.gates
        self._body_bytes_max = parts.body_bytes_max
        self._admission = Admission(parts.directory, parts.verifier)
        self._events = parts.events
        self._rejected = parts.rejected

    async def reply(self, submission: Submission) -> Reply:
        """Reply to one request. Every reply but a 429 has the quota of its address."""
        gate, headers = self._gates.api, NO_HEADERS
        address = throttle_key(submission.ip)
        try:
            headers = quota_headers(gate.enter(address, len(submission.body)))
            plain = reading.plain(submission, gate, address, bytes_max=self._body_bytes_max)
            status, body, _ = await self._reply_to(plain, address)
        except Throttled as error:
            return throttled(error)
        except Unavailable as error:
            return unavailable(str(error), headers)
        return Reply(status, body, headers)

    @abstractmethod
    async def _reply_to(self, submission: Submission, address: str) -> Reply:
        """Reply to a submission whose body is decompressed. Raises Throttled, Unavailable."""

    async def _admit(
        self, payload: Payload | Rejection, body: bytes, signature: str | None, address: str
    ) -> Admitted | Rejection:
        """Admit a payload; `signature` is the header that signs `body`. Raises Unavailable."""
        admitted = await self._lookup.tenant(payload, address)
        admitted = self._admission.verified(admitted, body, signature)
        if isinstance(admitted, Rejection) or admitted.payload.product_id is None:
            return admitted  # most events: save a coroutine
        return await self._admission.with_product(admitted, address)

    def _store(self, endpoint: str, admitted: Admitted, submission: Submission) -> Awaitable[str]:
        """Take the bytes from the tenant's limit, store the event durably and return its id.

        Raises Throttled; the awaitable raises Unavailable.
        """
        self._gates.api_tenant.add_bytes(admitted.throttle_key, len(submission.body))
        return self._events.store(endpoint, admitted, submission)
