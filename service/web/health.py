"""Health on both ports: alive, and able to do the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.web.responses import JsonHandler


class HealthHandler(JsonHandler):
    """GET /healthz: this process answers."""

    def get(self) -> None:
        self.answer(200, {"status": "alive"})

    head = get


class ReadyHandler(JsonHandler):
    """GET /readyz: 200 when the work can be done, 503 with the reasons when not."""

    def initialize(self, why_not_ready: Callable[[], Sequence[str]]) -> None:
        self._why_not_ready = why_not_ready

    def get(self) -> None:
        reasons = list(self._why_not_ready())
        status = "not ready" if reasons else "ready"
        self.answer(503 if reasons else 200, {"status": status, "reasons": reasons})

    head = get
