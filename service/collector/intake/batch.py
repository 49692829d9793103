"""POST /api/v1/analytics/batch: many events in one request, with a result for each.

An item is the body of another endpoint, and `endpoint` names which. It has the same limits and
meets the same rules as a request of its own, and a bad item never costs a good one. All accepted
events of a batch are in one group commit.

If the accepted events cannot be stored, none is, and the reply is a 503. A payload that cannot be
checked because the directory cannot be read is not kept, unlike that of a conversion of its own:
the client still has it, and its result says that it may be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce

from service.collector.contract import batch as contract
from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.contract.sent import SentEvent
from service.collector.intake import reading
from service.collector.intake.admission import (
    DIRECTORY_UNAVAILABLE,
    TENANT_NOT_FOUND,
    Admitted,
)
from service.collector.intake.endpoint import Endpoint
from service.collector.intake.items import Item, Source, Verdicts
from service.collector.intake.kinds import InteractionKind, Kind, make_kinds
from service.collector.intake.outcome import Outcome, Owed, Unavailable, rejected
from service.collector.intake.parts import Parts
from service.collector.intake.results import Results
from service.collector.intake.submission import Request
from service.collector.journal import Batch
from service.collector.throttle.gates import Entered, Gate, Throttled
from service.collector.throttle.token_bucket import Decision
from service.collector.waiting import Waiting, then

_NAME = "batch"
_LOST = "The events could not be stored; send the batch again."
_EXPLAINED_BYTES_PER_STEP_MAX = 64 << 10
"""Explaining the faults of so many bytes takes up to 30 ms; between steps others are served, and
other batches take theirs one at a time."""
_FAULT_BYTES = 3 << 10
"""The bytes that an explanation counts at least, because a small item can have many faults."""

_TOO_LARGE = Rejection("body-too-large", 413, "The event is too large.")


def _rejection(slug: str, field: str, message: str) -> Rejection:
    return Rejection(slug, 422, message, {field: [message]})


_NOT_AN_OBJECT = _rejection("payload-invalid", "body", "The event must be an object.")
_NO_ENDPOINT = _rejection("field-missing", "endpoint", "The endpoint field is required.")


def _both(first: Waiting[None], second: Waiting[None]) -> Waiting[None]:
    return first.then(lambda _: second)


@dataclass(slots=True)
class _Work:
    """A batch on its way: its items, and the verdicts on them."""

    request: Request
    items: Sequence[Item]
    verdicts: Verdicts = field(default_factory=Verdicts)


class BatchEndpoint(Endpoint):
    """The endpoint. Replies: 200, 207 or 422 with a result per event; 400, 413, 415, 429, 503."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._kinds = make_kinds(parts)
        names = ", ".join(map(str, self._kinds))
        self._unknown_endpoint = _rejection(
            "endpoint-unknown", "endpoint", f"The endpoint field must be one of: {names}."
        )
        self._gate = parts.gates.api
        self._batch_bytes_max = parts.batch_bytes_max
        self._body_bytes_max = parts.body_bytes_max
        self._events = parts.events
        self._rejected = parts.rejected
        self._turns = asyncio.Lock()

    def _receive(self, request: Request) -> Outcome:
        received = self._gate.add_bytes(request.address, len(request.submission.body))
        return then(received, lambda _: self._unpack(request))

    def _unpack(self, request: Request) -> Outcome:
        """Decompress the body. Raises Throttled."""
        added = reading.decompress(
            request, self._gate, contract.plain_batch, bytes_max=self._batch_bytes_max
        )
        return then(added, lambda _: self._enter(request))

    def _enter(self, request: Request) -> Outcome:
        """Pass the gate of addresses with the items, or with the rejection of the body."""
        submission = request.submission
        unpacked = submission.rejection or contract.items(submission.body, submission.content_type)
        if isinstance(unpacked, Rejection):
            decision = self._gate.enter(request.address, 0)
            return then(decision, partial(self._refuse, request, unpacked))
        source = Source(request.address, request.signed_body)
        items = [self._item(source, sent) for sent in unpacked]
        return then(
            self._enter_items(request, items), lambda _: self._check(_Work(request, items), 0)
        )

    def _refuse(self, request: Request, rejection: Rejection, decision: Decision | None) -> Outcome:
        """Reject the whole batch, which counts as one request.

        Its body is not kept: nobody could say which tenants it refers to.
        """
        request.decision = decision
        reply = rejected(rejection, request.quota)
        kept = self._rejected.keep(_NAME, rejection, b"", request.address)
        return Owed(kept, reply, None) if kept else reply

    def _item(self, source: Source, sent: contract.Item) -> Item:
        content = sent.content
        if isinstance(content, SentEvent):
            name: object = content.endpoint
        elif isinstance(content, dict):
            name = content.pop("endpoint", None)
        else:
            rejection = content if isinstance(content, Rejection) else _NOT_AN_OBJECT
            return Item(source, sent, None, rejection)
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            rejection = _NO_ENDPOINT if name is None else self._unknown_endpoint
            return Item(source, sent, None, rejection)
        return Item(source, sent, kind)

    def _enter_items(self, request: Request, items: Sequence[Item]) -> Waiting[None] | None:
        """Pass the gate of addresses once per event, in order, until the limit is reached."""
        by_gate: dict[Gate, list[Item]] = {}
        for item in items:
            by_gate.setdefault(item.kind.gate if item.kind else self._gate, []).append(item)
        waits = []
        for gate, entering in by_gate.items():
            entered = gate.enter_many(request.address, len(entering))
            if isinstance(entered, Waiting):
                waits.append(entered.then(partial(self._limit, request, gate, entering)))
            else:
                self._limit(request, gate, entering, entered)
        return reduce(_both, waits) if waits else None

    def _limit(
        self, request: Request, gate: Gate, entering: Sequence[Item], entered: Entered
    ) -> None:
        """Set the verdict of the items beyond the limit."""
        if gate is self._gate:
            request.decision = entered.decision
        for item in entering[entered.requests :]:
            item.verdict = entered.over

    def _check(self, work: _Work, start: int) -> Outcome:
        """Check the items from `start` on, in several steps if many have faults to explain."""
        explained_bytes = 0
        for place in range(start, len(work.items)):
            item = work.items[place]
            if item.kind is None or item.verdict is not None:
                continue
            payload = self._payload(item, item.kind)
            work.verdicts.decide(item, item.kind.verdict, payload, item)
            if isinstance(payload, Rejection):
                explained_bytes += max(item.size_bytes, _FAULT_BYTES)
            if explained_bytes >= _EXPLAINED_BYTES_PER_STEP_MAX:
                return Waiting(self._turn(), lambda _: self._check(work, place + 1))  # noqa: B023
        return self._wait(work)

    def _payload(self, item: Item, kind: Kind) -> Payload | Rejection:
        """Return the payload of an item as its own endpoint would."""
        if item.size_bytes > self._body_bytes_max:
            return _TOO_LARGE
        return kind.check(item.sent.content, item.sent.raw)

    async def _turn(self) -> None:
        """Let others be served, and the batches that wait take their next steps one at a time."""
        async with self._turns:
            await asyncio.sleep(0)

    def _wait(self, work: _Work) -> Outcome:
        """Store the batch, once every verdict is known."""
        fetched = work.verdicts.fetched()
        if fetched is None:
            return self._settle(work)
        return fetched.then(lambda _: self._wait(work))

    def _settle(self, work: _Work) -> Outcome:
        """Store what is admitted, keep what is rejected, and return the reply with the results."""
        request = work.request
        admitted = [
            (item.kind.NAME, item.verdict)
            for item in work.items
            if item.kind and isinstance(item.verdict, Admitted)
        ]
        event_ids: Sequence[str] = ()
        stored: Batch | None = None
        if admitted:
            event_ids, stored = self._events.store_all(admitted, request.submission)
        results = Results()
        kept = self._add_results(work, results, iter(event_ids))
        reply = results.reply(request.quota)
        if stored:
            return Owed(stored, reply, _LOST)
        return Owed(kept, reply, None) if kept else reply

    def _add_results(self, work: _Work, results: Results, event_ids: Iterator[str]) -> Batch | None:
        """Add the result of each item; keep the rejected ones, and return their batch, if any."""
        kept: Batch | None = None
        for item in work.items:
            verdict = item.verdict
            if isinstance(verdict, Admitted):
                results.accepted(next(event_ids))
            elif isinstance(verdict, Throttled):
                results.throttled(verdict)
            elif isinstance(verdict, Unavailable):
                results.unavailable(str(verdict))
            elif verdict is DIRECTORY_UNAVAILABLE:
                results.unavailable(verdict.message)
            elif isinstance(verdict, Rejection):
                name = item.kind.NAME if item.kind else _NAME
                kept = self._rejected.keep(name, verdict, item.body(), work.request.address) or kept
                if isinstance(item.kind, InteractionKind) and verdict is TENANT_NOT_FOUND:
                    results.accepted(None)
                else:
                    results.rejected(verdict)
        return kept
