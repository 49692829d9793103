"""The health routes of both ports: liveness and readiness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.web.responses import JsonHandler


class HealthHandler(JsonHandler):
    """GET /healthz: 200 while the process serves."""

    def get(self) -> None:
        self.respond(200, {"status": "alive"})

    head = get


class ReadyHandler(JsonHandler):
    """GET /readyz: 200 when the process can do its work, else 503 with the reasons."""

    def initialize(self, why_not_ready: Callable[[], Sequence[str]]) -> None:
        self._why_not_ready = why_not_ready

    def get(self) -> None:
        reasons = list(self._why_not_ready())
        status = "not ready" if reasons else "ready"
        self.respond(503 if reasons else 200, {"status": status, "reasons": reasons})

    head = get
