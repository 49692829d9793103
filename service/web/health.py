"""The health routes of both ports: liveness and readiness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from service.web.responses import JsonHandler


class HealthHandler(JsonHandler):
    """GET /healthz: 200 while the process serves."""

    def get(self) -> None:
        self.respond(200, {"status": "alive"})

    head = get


class ReadyHandler(JsonHandler):
    """GET /readyz: 200 when the process can do its work, else 503 with the reasons.

    `degraded`, if there, says what does not work as it should although the process does its work.
    `ages_s` returns more fields: how old something is that the process works with, in seconds.
    """

    def initialize(
        self,
        why_not_ready: Callable[[], Sequence[str]],
        why_degraded: Callable[[], Sequence[str]] = tuple,
        ages_s: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._why_not_ready = why_not_ready
        self._why_degraded = why_degraded
        self._ages_s = ages_s

    def get(self) -> None:
        reasons = list(self._why_not_ready())
        status = "not ready" if reasons else "ready"
        body: dict[str, object] = {"status": status, "reasons": reasons, **self._ages_s()}
        if degraded := list(self._why_degraded()):
            body["degraded"] = degraded
        self.respond(503 if reasons else 200, body)

    head = get
