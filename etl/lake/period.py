"""The period of a question, and the files that may hold rows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

SALE_WINDOW = timedelta(days=30)
"""The time between two receipts of a transaction within which they are one sale."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """[since, until) as times of events; None for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def around_sales(self) -> Period:
        """Return the period from which sales count for a rule that compares sales of this one.

        Without an end: a sale may be received long after it occurred.
        """
        return Period(_moved(self.since, -SALE_WINDOW))

    def may_hold(self, event_date: str, first: datetime | None) -> bool:
        """Return whether a file may hold rows of the period.

        `event_date` is its day of receipt, `first` the earliest time of its rows, if it is known.
        No event occurs more than five minutes after its receipt.
        """
        if self.until and first and first >= self.until:
            return False
        return self.first_day is None or date.fromisoformat(event_date) >= self.first_day

    @property
    def first_day(self) -> date | None:
        """The first day on which events of the period may be received; None for no bound."""
        earlier = _moved(self.since, -_DAY)
        return earlier and earlier.date()

    def covers(self, other: Period) -> bool:
        """Return whether all moments of another period are in this one."""
        return self.hull(other) == self

    def hull(self, other: Period) -> Period:
        """Return the shortest period that covers both."""
        begins = self.since and other.since and min(self.since, other.since)
        ends = self.until and other.until and max(self.until, other.until)
        return Period(begins or None, ends or None)


ALWAYS = Period()


def _moved(moment: datetime | None, by: timedelta) -> datetime | None:
    """Return a moment moved by a duration; None, for no bound, if no calendar has it."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC) + by
    except OverflowError:
        return None
