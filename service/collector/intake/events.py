"""The event stream: store admitted payloads as records of the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from random import Random

from service.collector import record
from service.collector.bots import is_bot
from service.collector.clock import Clock
from service.collector.context.contexts import Contexts
from service.collector.contract.payload import Payload, SentContext
from service.collector.identifiers import iso_utc, uuid7
from service.collector.intake.admission import Admitted
from service.collector.intake.outcome import Owed, Reply, Unavailable
from service.collector.intake.submission import Submission
from service.collector.journal import Batch, Journal, JournalBroken, JournalFull
from service.collector.record import Visit
from service.collector.visitors import DailySalts, SaltDamagedError, visitor_id

log = logging.getLogger(__name__)

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_SALT_RETRY_S = 1.0
_NOT_STORED = "The event could not be stored; send it again."


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """The bounds of a client's timestamp, relative to its receipt; beyond them it is ignored."""

    past_max_us: int = 7 * _DAY_US
    future_max_us: int = 300_000_000


@dataclass(slots=True)
class Stored:
    """An event whose record is in a batch of the log."""

    event_id: str
    batch: Batch

    def owe(self, reply: Reply) -> Owed:
        """Return the reply, owed once the event is durable; a 503 if it is lost."""
        return Owed(self.batch, reply, _NOT_STORED)


@dataclass(slots=True)
class _Receipt:
    """The receipt of a submission.

    `visit` takes the id of a tenant; `context` returns the fields of a context that was sent.
    """

    received_us: int
    visit: Callable[[int], Visit]
    context: Callable[[SentContext | None], Mapping[str, object]]


class EventStream:
    """The events of one collector, on its event loop."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        salts: DailySalts,
        bounds: TimeBounds,
        contexts: Contexts,
    ) -> None:
        self._journal = journal
        self.clock_wait = journal.clock_wait
        self._clock = clock
        self._salts = salts
        self._bounds = bounds
        self._contexts = contexts
        self._salt_due_s: float | None = None
        # Seeded in this process: forked processes with a common state would make the same ids.
        self._random_bits = Random().getrandbits  # noqa: S311 (unique is enough: no id is secret)

    def store(self, endpoint: str, admitted: Admitted, submission: Submission) -> Stored:
        """Stamp the event and submit its record to the journal. Raises Unavailable.

        `clock_wait` must have returned None, or its future be done, in this step of the loop.
        """
        receipt = self._receipt(submission)
        event_id, line = self._event(endpoint, admitted, receipt)
        try:
            batch = self._journal.submit(line, receipt.received_us)
        except (JournalFull, JournalBroken) as error:
            raise _unavailable(error) from error
        return Stored(event_id, batch)

    def store_all(
        self, events: Sequence[tuple[str, Admitted]], submission: Submission
    ) -> tuple[list[str], Batch]:
        """Store events with their endpoints, at least one, as `store` does: all or none of them."""
        receipt = self._receipt(submission)
        receipt = replace(receipt, visit=cache(receipt.visit))
        event_ids, records = [], []
        for endpoint, admitted in events:
            event_id, line = self._event(endpoint, admitted, receipt)
            event_ids.append(event_id)
            records.append(line)
        try:
            batch = self._journal.submit_all(records, receipt.received_us)
        except (JournalFull, JournalBroken) as error:
            raise _unavailable(error) from error
        return event_ids, batch

    def _receipt(self, submission: Submission) -> _Receipt:
        received_us = self._clock.now_us()
        salt = None if submission.wants_privacy else self._salt(received_us)
        visit = partial(_visit, submission, salt, iso_utc(received_us))
        return _Receipt(received_us, visit, partial(_context, self._contexts, submission))

    def _event(self, endpoint: str, admitted: Admitted, receipt: _Receipt) -> tuple[str, bytes]:
        """Return the id and the record of an event."""
        payload, received_us = admitted.payload, receipt.received_us
        event_id = payload.event_id or uuid7(received_us, self._random_bits)
        line = record.event(
            payload,
            receipt.visit(admitted.tenant.id),
            endpoint=endpoint,
            event_id=event_id,
            occurred_us=self._occurred_us(payload, received_us),
            signed=admitted.signed,
            context=receipt.context(payload.context),
        )
        return event_id, line

    def _occurred_us(self, payload: Payload, received_us: int) -> int | None:
        """Return the time of the client; None if it sent none that is within the bounds."""
        claimed_us = payload.timestamp_us
        if claimed_us is None:
            return None
        earliest_us = received_us - self._bounds.past_max_us
        latest_us = received_us + self._bounds.future_max_us
        return claimed_us if earliest_us <= claimed_us <= latest_us else None

    def _salt(self, received_us: int) -> bytes | None:
        """Return the salt of the day, or None while there is none."""
        # After a failure wait, because each try syncs a folder on the event loop.
        if self._salt_due_s is not None and self._clock.monotonic_s() < self._salt_due_s:
            return None
        day = date.fromordinal(_EPOCH_DAY + received_us // _DAY_US)
        try:
            return self._salts.salt(day)
        except (OSError, SaltDamagedError) as error:
            self._salt_due_s = self._clock.monotonic_s() + _SALT_RETRY_S
            log.error("events have no visitor id: no salt", extra={"fields": {"why": str(error)}})
            return None


def _visit(submission: Submission, salt: bytes | None, received_at: str, tenant_id: int) -> Visit:
    user_agent = submission.user_agent
    visitor = None
    if salt is not None:
        visitor = visitor_id(salt, tenant_id, submission.ip, user_agent)
    return Visit(tenant_id, received_at, visitor, is_bot(user_agent))


def _context(
    contexts: Contexts, submission: Submission, sent: SentContext | None
) -> Mapping[str, object]:
    user_agent = submission.user_agent
    return contexts.fields(sent, submission.ip, "" if is_bot(user_agent) else user_agent)


def _unavailable(error: JournalFull | JournalBroken) -> Unavailable:
    is_full = isinstance(error, JournalFull)
    return Unavailable("Overloaded; send the event again." if is_full else _NOT_STORED)
