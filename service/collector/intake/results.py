"""The results of the events of a batch, and the reply that consists of them.

    {"status": "accepted", "event_id": "…"}
    {"status": "rejected", "reason": "…", "errors": {"field": ["…"]}, "retryable": false}
    {"status": "throttled", "retryable": true}
    {"status": "unavailable", "retryable": true}

The `event_id` of an interaction of an unknown tenant is null: it is accepted, but not stored as an
event. `unavailable` is an event whose tenant, product or signature cannot be checked now, or a
sale whose signature was not verified because those of eight other tenants were.

A status of 429 or 503 means that nothing was taken or rejected: the batch may be sent again whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.collector.contract.rejection import Rejection
from service.collector.intake.outcome import RETRY_AFTER_S, Reply, throttled, unavailable
from service.collector.throttle.gates import Throttled

_THROTTLED: Mapping[str, object] = {"status": "throttled", "retryable": True}
_UNAVAILABLE: Mapping[str, object] = {"status": "unavailable", "retryable": True}


class Results:
    """The results of one batch, in the order of its events."""

    def __init__(self) -> None:
        self._results: list[Mapping[str, object]] = []
        self._accepted = self._rejected = 0
        self._throttled: Throttled | None = None
        self._unavailable: str | None = None

    def accepted(self, event_id: str | None) -> None:
        """Add an event that is accepted, stored under this id."""
        self._results.append({"status": "accepted", "event_id": event_id})
        self._accepted += 1

    def rejected(self, rejection: Rejection) -> None:
        """Add an event that is rejected; `body` is the field of a message about the whole event."""
        errors = {field: list(messages) for field, messages in rejection.errors.items()}
        self._results.append(
            {
                "status": "rejected",
                "reason": rejection.slug,
                "errors": errors or {"body": [rejection.message]},
                "retryable": False,
            }
        )
        self._rejected += 1

    def throttled(self, error: Throttled) -> None:
        """Add an event that exceeds a limit."""
        self._results.append(_THROTTLED)
        self._throttled = self._throttled or error

    def unavailable(self, message: str) -> None:
        """Add an event that cannot be checked now."""
        self._results.append(_UNAVAILABLE)
        self._unavailable = self._unavailable or message

    def reply(self, quota: Mapping[str, str]) -> Reply:
        """Return the reply, with the headers of the first limit that was exceeded, or the quota."""
        if not self._accepted and not self._rejected:
            if self._throttled:
                return throttled(self._throttled)
            return unavailable(self._unavailable or "", quota)
        headers = quota
        if self._throttled:
            headers = self._throttled.headers
        elif self._unavailable:
            headers = {**quota, "Retry-After": str(RETRY_AFTER_S)}
        return Reply(self._status(), {"results": self._results}, headers)

    def _status(self) -> int:
        if not self._accepted:
            return 422
        return 200 if self._accepted == len(self._results) else 207
