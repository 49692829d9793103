"""The event stream: store admitted payloads as records of the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from etl.directory.entries import Tenant
from service.collector import record
from service.collector.bots import is_bot
from service.collector.clock import Clock
from service.collector.context.contexts import Contexts
from service.collector.contract.payload import Payload
from service.collector.contract.sent import SentContext
from service.collector.identifiers import iso_utc, uuid7
from service.collector.intake.admission import Admitted
from service.collector.intake.outcome import Owed, Reply, Unavailable
from service.collector.intake.persons import Person, person_of
from service.collector.intake.submission import Submission
from service.collector.journal import Batch, Journal, JournalBroken, JournalFull
from service.collector.local_days import LocalDays
from service.collector.record import Visit
from service.collector.visitors import DailySalts, SaltDamagedError, visitor_id

log = logging.getLogger(__name__)

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
    """The receipt of a submission from `client`.

    `visits` caches what the events of a batch share, by tenant, person, day and signature.
    """

    received_us: int
    received_at: str
    submission: Submission
    client: Person
    visits: dict[tuple[int, Person | None, date, bool], Visit] | None = None


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
        self._days = LocalDays()
        self._bounds = bounds
        self._contexts = contexts
        self._salts_due_s: dict[date, float] = {}
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
        receipt.visits = {}
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
        client = Person(submission.ip, submission.user_agent)
        return _Receipt(received_us, iso_utc(received_us), submission, client)

    def _event(self, endpoint: str, admitted: Admitted, receipt: _Receipt) -> tuple[str, bytes]:
        """Return the id and the record of an event."""
        payload, received_us = admitted.payload, receipt.received_us
        event_id = payload.event_id or uuid7(received_us, self._random_bits)
        occurred_us = self._occurred_us(payload, received_us)
        is_browser = receipt.submission.is_browser
        person = person_of(endpoint, admitted, receipt.client, is_browser=is_browser)
        at_us = received_us if occurred_us is None else occurred_us
        visit = self._visit_of(receipt, admitted, person, at_us)
        line = record.event(
            payload,
            visit,
            endpoint=endpoint,
            event_id=event_id,
            occurred_us=occurred_us,
            signed=admitted.signed,
            context=self._context(payload.context, person, visit, receipt.submission.site),
        )
        return event_id, line

    def _context(
        self, sent: SentContext | None, person: Person | None, visit: Visit, site: str | None
    ) -> Mapping[str, object]:
        if person is None:
            return self._contexts.fields(sent, None, "", site)
        user_agent = "" if visit.bot else person.user_agent
        return self._contexts.fields(sent, person.ip, user_agent, site)

    def _occurred_us(self, payload: Payload, received_us: int) -> int | None:
        """Return the time of the client; None if it sent none that is within the bounds."""
        claimed_us = payload.timestamp_us
        if claimed_us is None:
            return None
        earliest_us = received_us - self._bounds.past_max_us
        latest_us = received_us + self._bounds.future_max_us
        return claimed_us if earliest_us <= claimed_us <= latest_us else None

    def _visit_of(
        self, receipt: _Receipt, admitted: Admitted, person: Person | None, at_us: int
    ) -> Visit:
        """Return the visit of an event that occurred at `at_us`; events of a batch share it."""
        tenant, signed = admitted.tenant, admitted.signed
        day = self._days.day(tenant.timezone, at_us)
        if receipt.visits is None:
            return self._visit(receipt, tenant, person, day, signed=signed)
        key = (tenant.id, person, day, signed)
        visit = receipt.visits.get(key)
        if visit is None:
            visit = self._visit(receipt, tenant, person, day, signed=signed)
            receipt.visits[key] = visit
        return visit

    def _visit(
        self, receipt: _Receipt, tenant: Tenant, person: Person | None, day: date, *, signed: bool
    ) -> Visit:
        visitor = None
        if person is not None and person.is_visitor and not receipt.submission.wants_privacy:
            today = self._days.day(tenant.timezone, receipt.received_us)
            salt = self._salt(day, today)
            if salt is None and day < today and person is receipt.client:
                salt = self._salt(today, today)  # a back-fill
            if salt is not None:
                visitor = visitor_id(salt, tenant.id, person.ip, person.user_agent)
        # A signed event is never a bot's, whatever user agent its server or its buyer has.
        bot = not signed and is_bot((person or receipt.client).user_agent)
        return Visit(tenant.id, receipt.received_at, visitor, bot)

    def _salt(self, day: date, today: date) -> bytes | None:
        """Return the salt of the day of an event, or None while there is none.

        An event of an earlier day has the salt of that day, unless it was destroyed.
        """
        # After a failure wait, because each try syncs a folder on the event loop.
        if self._salts_due_s and self._clock.monotonic_s() < self._salts_due_s.get(day, 0.0):
            return None
        try:
            return self._salts.past(day) if day < today else self._salts.salt(day)
        except (OSError, SaltDamagedError) as error:
            now_s = self._clock.monotonic_s()
            waiting = {each: due_s for each, due_s in self._salts_due_s.items() if due_s > now_s}
            self._salts_due_s = waiting | {day: now_s + _SALT_RETRY_S}
            log.error("events have no visitor id: no salt", extra={"fields": {"why": str(error)}})
            return None


def _unavailable(error: JournalFull | JournalBroken) -> Unavailable:
    is_full = isinstance(error, JournalFull)
    return Unavailable("Overloaded; send the event again." if is_full else _NOT_STORED)
