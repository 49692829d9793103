"""POST /api/v1/analytics/track: store an event and reply with its id."""

from __future__ import annotations

from service.collector.contract.rejection import Rejection
from service.collector.intake import reading
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE, TenantLookup
from service.collector.intake.api import ApiEndpoint
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Reply, Submission, Unavailable, rejected


class TrackEndpoint(ApiEndpoint):
    """The endpoint. Replies: 202 with the event's id; 400 to 422, 429, 503."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, TenantLookup.by_id(parts.directory))
        self._check = parts.contract.track

    async def _reply_to(self, submission: Submission, address: str) -> Reply:
        payload = reading.payload(reading.json_body(submission), self._check)
        admitted = await self._admit(payload, submission.body, None, address)
        if admitted is DIRECTORY_UNAVAILABLE:
            raise Unavailable(admitted.message)
        if isinstance(admitted, Rejection):
            await self._rejected.keep("track", admitted, submission.body, address)
            return rejected(admitted)
        event_id = await self._store("track", admitted, submission)
        message = "Event accepted for processing"
        return Reply(202, {"success": True, "message": message, "event_id": event_id})
