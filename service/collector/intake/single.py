"""The steps of an endpoint that takes one event per request."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

from service.collector.contract.body import plain_body
from service.collector.contract.rejection import Rejection
from service.collector.intake import reading, rejections
from service.collector.intake.admission import Admitted, Verdict
from service.collector.intake.endpoint import Endpoint
from service.collector.intake.events import Stored
from service.collector.intake.kinds import Kind
from service.collector.intake.outcome import Outcome, Owed, Reply
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Request
from service.collector.waiting import Waiting


class SingleEndpoint(Endpoint):
    """An endpoint of one kind of events. Every reply but a 429 has the quota of its kind."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        super().__init__(parts)
        self._kind = kind
        self._body_bytes_max = parts.body_bytes_max
        self._events = parts.events
        self._rejected = parts.rejected

    def _receive(self, request: Request) -> Outcome:
        entered = self._kind.enter(request)
        if entered is None:
            return self._read(request)
        return entered.then(lambda _: self._read(request))

    def _read(self, request: Request) -> Outcome:
        """Continue with a request that has passed the gate of its address."""
        added = reading.decompress(
            request, self._kind.gate, plain_body, bytes_max=self._body_bytes_max
        )
        if added is None:
            return self._admit(request)
        return added.then(lambda _: self._admit(request))

    def _admit(self, request: Request) -> Outcome:
        """Continue with a request whose body is decompressed."""
        kind = self._kind
        verdict = kind.verdict(reading.payload(request, kind.check), request)
        if isinstance(verdict, Waiting):
            return verdict.then(partial(self._reply_to, request))
        return self._reply_to(request, verdict)

    @abstractmethod
    def _reply_to(self, request: Request, verdict: Verdict) -> Outcome:
        """Store an admitted or rejected payload. Raises Unavailable."""

    def _store(self, request: Request, admitted: Admitted) -> Stored:
        """Store an event. Raises Unavailable."""
        return self._events.store(self._kind.NAME, admitted, request.submission)

    def _keep(self, request: Request, rejection: Rejection, reply: Reply) -> Reply | Owed:
        """Keep a rejected payload, and return its reply. Raises Unavailable."""
        return rejections.keep(self._rejected, self._kind.NAME, rejection, request, reply)
