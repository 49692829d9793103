"""POST /api/v1/interactions: an interaction with a tenant, limited per address and per tenant."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE, TENANT_NOT_FOUND, Verdict
from service.collector.intake.kinds import InteractionKind
from service.collector.intake.outcome import Outcome, Reply, rejected
from service.collector.intake.parts import Parts
from service.collector.intake.single import SingleEndpoint
from service.collector.intake.submission import Request

_SILENT = (TENANT_NOT_FOUND, DIRECTORY_UNAVAILABLE)
_ACCEPTED = {"status": "accepted"}
_SUCCESS = {"status": "success"}


class InteractionsEndpoint(SingleEndpoint):
    """The endpoint. Replies: 201 `success`; 202 `accepted` (no tenant); 400 to 422, 429, 503."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, InteractionKind(parts))

    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        if isinstance(verdict, Rejection):
            accepted = Reply(202, _ACCEPTED, request.quota)
            is_silent = verdict in _SILENT
            reply = accepted if is_silent else rejected(verdict, request.quota)
            return self._keep(request, verdict, reply)
        return self._store(request, verdict).owe(Reply(201, _SUCCESS, request.quota))
