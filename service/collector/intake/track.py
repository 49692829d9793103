"""POST /api/v1/analytics/track: store an event and reply with its id."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake import rejections
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE, TenantLookup, Verdict
from service.collector.intake.api import ApiEndpoint
from service.collector.intake.outcome import Outcome, Reply, Unavailable, rejected
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Request


class TrackEndpoint(ApiEndpoint):
    """The endpoint. Replies: 202 with the event's id; 400 to 422, 429, 503."""

    NAME = "track"
    TAKES_SIGNATURE = False

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, TenantLookup.by_id(parts.directory), parts.contract.track)

    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        if verdict is DIRECTORY_UNAVAILABLE:
            raise Unavailable(verdict.message)
        if isinstance(verdict, Rejection):
            reply = rejected(verdict, request.quota)
            return rejections.keep(self._rejected, self.NAME, verdict, request, reply)
        stored = self._store(verdict, request)
        message = "Event accepted for processing"
        fields = {"success": True, "message": message, "event_id": stored.event_id}
        return stored.owe(Reply(202, fields, request.quota))
