"""The frame of every endpoint: waits and failures, apart from the steps of a request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from service.collector.intake.outcome import (
    Outcome,
    Unavailable,
    throttled,
    unavailable,
)
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Request, Submission
from service.collector.throttle.gates import Throttled
from service.collector.waiting import Waiting


class Endpoint(ABC):
    """An endpoint: a plain function of a submission. Subclasses have the steps of a request."""

    def __init__(self, parts: Parts) -> None:
        self._clock_wait = parts.events.clock_wait

    def __call__(self, submission: Submission) -> Outcome:
        """Return the outcome of one request."""
        request = Request(submission)
        return self._run(request, self._receive, request)

    @abstractmethod
    def _receive(self, request: Request) -> Outcome:
        """Process a request that has just arrived. Raises Throttled, Unavailable."""

    def _run(self, request: Request, step: Callable[[Any], Outcome], value: Any) -> Outcome:
        """Apply a step of the request to a value; if the clock fell back, wait for that first.

        A step stamps and submits records without a wait, so one check per step is enough.
        """
        clock_wait = self._clock_wait()
        if clock_wait is None:
            return self._guarded(request, step, value)
        return Waiting(clock_wait, lambda _: self._guarded(request, step, value))

    def _guarded(self, request: Request, step: Callable[[Any], Outcome], value: Any) -> Outcome:
        """Apply a step to a value; return the replies to Throttled and Unavailable."""
        try:
            outcome = step(value)
        except Throttled as limit:
            return throttled(limit)
        except Unavailable as error:
            return unavailable(str(error), request.quota)
        if isinstance(outcome, Waiting):
            resume = outcome.resume
            return Waiting(outcome.awaited, lambda result: self._run(request, resume, result))
        return outcome
