"""POST /api/v1/analytics/track: store an event and reply with its id."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE, Verdict
from service.collector.intake.kinds import TrackKind
from service.collector.intake.outcome import Outcome, Reply, Unavailable, rejected
from service.collector.intake.parts import Parts
from service.collector.intake.single import SingleEndpoint
from service.collector.intake.submission import Request


class TrackEndpoint(SingleEndpoint):
    """The endpoint. Replies: 202 with the event's id; 400 to 422, 429, 503."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, TrackKind(parts))

    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        if verdict is DIRECTORY_UNAVAILABLE:
            raise Unavailable(verdict.message)
        if isinstance(verdict, Rejection):
            return self._keep(request, verdict, rejected(verdict, request.quota))
        stored = self._store(request, verdict)
        message = "Event accepted for processing"
        fields = {"success": True, "message": message, "event_id": stored.event_id}
        return stored.owe(Reply(202, fields, request.quota))
