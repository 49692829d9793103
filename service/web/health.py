"""The health routes of both ports: liveness and readiness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.web.responses import JsonHandler


class HealthHandler(JsonHandler):
    """GET /healthz: 200 while the process serves."""

    def get(self) -> None:
        self.respond(200, {"status": "alive"})

    head = get


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of a process, which its functions return at each request of /readyz.

    `why_degraded` returns what does not work as it should although the process does its work.
    `ages_s` returns fields: how old something is that the process works with, in seconds.
    """

    why_not_ready: Callable[[], Sequence[str]] = tuple
    why_degraded: Callable[[], Sequence[str]] = tuple
    ages_s: Callable[[], Mapping[str, float]] = dict


class ReadyHandler(JsonHandler):
    """GET /readyz: 200 when the process can do its work, else 503 with the reasons."""

    def initialize(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def get(self) -> None:
        reasons = list(self._readiness.why_not_ready())
        body: dict[str, object] = {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            **self._readiness.ages_s(),
        }
        if degraded := list(self._readiness.why_degraded()):
            body["degraded"] = degraded
        self.respond(503 if reasons else 200, body)

    head = get
