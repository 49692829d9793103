"""A question, the shops it is about, and the forms of records and rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import calendar_reference as calendar

Record = dict[str, Any]
Row = dict[str, Any]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Question:
    """A report's parameters; `first` and `last` are whole days of the zone, both included."""

    tz: str
    now: datetime
    first: date | None = None
    last: date | None = None
    interval: str = "day"
    bots: bool = False
    limit: int = 50
    tenant: int | None = None
    endpoint: str | None = None
    type: str | None = None
    product: int | None = None
    source: str | None = None
    steps: str | None = None
    within: str | None = None
    by: str | None = None
    measure: str = "events"
    touch: str | None = None
    """The kind of touch that sales are attributed to."""
    path: str | None = None
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    channel: str | None = None
    device: str | None = None
    browser: str | None = None
    country: str | None = None

    @property
    def since(self) -> datetime | None:
        return calendar.start_of_day(self.first, self.tz) if self.first else None

    @property
    def until(self) -> datetime | None:
        return calendar.start_of_day(self.last + DAY, self.tz) if self.last else None


@dataclass
class Shops:
    """The content of the directory."""

    slugs: dict[int, str] = field(default_factory=dict)
    products: dict[tuple[int, int], str] = field(default_factory=dict)
    prices: dict[tuple[int, int], Decimal] = field(default_factory=dict)
