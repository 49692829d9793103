"""Random traffic and random questions for the reports, made to be hard: see test_report_numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import calendar_reference as calendar
from report_reference import DAY, DIMENSIONS, MEASURED, TOUCHES, TYPES, Question, Record

# Changes of the clocks at midnight, of half an hour, skipped days and months of two lengths; zones
# east and west of UTC.
SCENES = [
    ("America/Tegucigalpa", "2026-11-01"),
    ("Pacific/Auckland", "2026-09-27"),
    ("Pacific/Auckland", "2026-04-05"),
    ("America/Havana", "2025-11-02"),
    ("America/Havana", "2026-03-08"),
    ("America/Vancouver", "2026-11-01"),
    ("America/New_York", "2025-11-02"),
    ("America/New_York", "2026-03-08"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-09-20"),
    ("Africa/Cairo", "2026-04-24"),
    ("America/Asuncion", "2024-03-24"),
    ("America/St_Johns", "2010-11-07"),
    ("Antarctica/Casey", "2022-10-02"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Kathmandu", "2026-03-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Europe/Madrid", "2026-10-25"),
    ("Pacific/Apia", "2011-12-30"),
    ("UTC", "2026-03-01"),
]
TENANTS = (1, 2, 42)
UUID = "3f0e6f0e-5f0e-4b5e-9d6e-2d9a6c1f4a11"
SLUGS = {1: "la-colmena", 42: "ferreteria"}
CONTEXTS: dict[str, tuple[str, ...]] = {
    "path": ("/", "/zapatos"),
    "referrer": ("b.example", "google.com"),
    "utm_source": ("instagram", "news"),
    "utm_medium": ("cpc",),
    "utm_campaign": ("navidad", "a,b"),
    "channel": ("direct", "internal", "paid-social"),
    "device": ("phone", "desktop"),
    "browser": ("Firefox", "Safari"),
    "country": ("HN", "ES"),
}
"""Values of the context of an event."""
STEPS = (
    "view",
    "contact",
    "cart_add",
    "cart_add:product=7",
    "view:path=/zapatos",
    "contact:product=7:path=/",
    "purchase",
)
_SOURCES = (None, "instagram", "", "a,b")
_BODIES: list[tuple[str, str, int | None]] = [
    ("track", '{"tenant_id":"042","type":"x"}', 42),
    ("track", '{"tenant_id":42.0}', 42),
    ("track", '{"tenant_id":421}', 421),
    ("track", f'{{"tenant_id":"{UUID.upper()}"}}', 42),
    ("track", '{"type":"view","tenant_id":"1","metadata":{"x":"' + "y" * 8000, 1),
    ("track", '{"metadata":{"tenant_id":1}}', None),
    ("interactions", '{"tenant_id":1,"type":"nonsense"}', 1),
    ("interactions", f'{{"tenant_id":"{UUID}"}}', None),
    ("conversion", '{"tenant_slug":"la-colmena","value":-1}', 1),
    ("conversion", '{"tenant_slug":"LA-COLMENA"}', None),
    ("conversion", '{"tenant_id":1}', None),
    ("track", "{", None),
]
"""(endpoint, body, the tenant it would have been resolved to)"""


def _event_id(index: int) -> str:
    """Of events far from each other, the last digits are the same."""
    return f"{index:08x}-0000-7000-8000-00{index % 50:010x}"


class Traffic:
    """Records around the midnights of a scene, in the order of their receipt."""

    def __init__(self, random: Random, zone: str, day: str) -> None:
        self._random = random
        self.zone, self.day = zone, date.fromisoformat(day)
        self._midnight = calendar.start_of_day(self.day, zone)

    def records(self, count: int) -> list[Record]:
        """That many, no two received in the same microsecond."""
        receipts = sorted({self._moment() for _ in range(count)})
        made: list[Record] = []
        for index, received_at in enumerate(receipts):
            made.append(self._record(index, received_at, made))
        return made

    def _moment(self) -> datetime:
        """On the edge of an hour near a midnight, or anywhere within six weeks."""
        if self._random.random() < 0.5:
            days = self._random.choice((-31, -7, -1, 0, 0, 0, 1, 1, 7))
            near = calendar.start_of_day(self.day + days * DAY, self.zone)
            edge = near + self._random.randrange(-4, 5) * timedelta(minutes=30)
            return edge + timedelta(microseconds=self._random.randrange(-2, 3))
        return self._midnight + timedelta(seconds=self._random.uniform(-3_000_000, 1_500_000))

    def _record(self, index: int, received_at: datetime, earlier: list[Record]) -> Record:
        if self._random.random() < 0.12:
            endpoint, body, tenant = self._random.choice(_BODIES)
            reason = self._random.choice(("invalid-payload", "not-json", "tenant-not-found"))
            return {
                "kind": "rejected", "received_at": received_at, "endpoint": endpoint,
                "reason": reason, "body": body, "tenant": tenant,
            }  # fmt: skip
        repeated = [one for one in earlier if one.get("dedupe_key")]
        if repeated and self._random.random() < 0.15:
            again = self._random.choice(repeated[-30:])
            if "value" in again and self._random.random() < 0.5:
                again = again | {"value": again["value"] + self._random.randrange(3)}
            key = again["dedupe_key"]
            if key.startswith("tx:") and index % 2:
                again = again | self._of_server() | {"signed": True, "dedupe_key": f"s{key}"}
            return again | {
                "received_at": received_at, "occurred_at": self._occurred(received_at),
            }  # fmt: skip
        return self._event(index, received_at)

    def _event(self, index: int, received_at: datetime) -> Record:
        choose = self._random.choice
        endpoint = choose(("track", "interactions", "conversion"))
        event: Record = {
            "kind": "event",
            "event_id": _event_id(index),
            "received_at": received_at,
            "occurred_at": self._occurred(received_at),
            "tenant_id": choose(TENANTS),
            "endpoint": endpoint,
            "type": choose(TYPES),
            "product_id": choose((None, 7, 7, 8)),
            "visitor_id": choose((None, *(f"{n:016x}" for n in range(6)))),
            "bot": choose((None, False, False, True)),
            "metadata": {
                "source": choose(_SOURCES),
                "referrer": choose(
                    (None, "b.example", "www.b.example:8080", "https://b.example/x")
                ),
                "path": choose((None, "", "/zapatos")),
            },
            "dedupe_key": choose((None, f"id:e{index}")),
            **self._context(),
        }
        if endpoint == "conversion":
            led = _event_id(self._random.randrange(index + 1))
            event |= {
                "ref": choose((None, led, led[-10:], led[-10:], "0123456789")),
                "transaction_id": f"T{index}",
                "value": Decimal(self._random.randrange(10**9)) / 10**4,
                "currency": choose(("HNL", "HNL", "USD", "EUR")),
                "dedupe_key": choose((None, f"tx:T{index}")),
            }
        return event

    def _context(self) -> Record:
        """Return the context of an event: nothing, as before, or some of its fields."""
        if self._random.random() < 0.3:
            return {}
        context = {name: self._random.choice((None, *values)) for name, values in CONTEXTS.items()}
        return context | {"channel_rules": self._random.choice((None, 1))}

    def _of_server(self) -> Record:
        """Return what a shop's server knows of a sale: neither visitor nor product."""
        unknown = dict.fromkeys((*CONTEXTS, "channel_rules", "visitor_id", "product_id", "ref"))
        return unknown | self._context()

    def _occurred(self, received_at: datetime) -> datetime:
        """Seven days before its receipt to five minutes after, mostly at it."""
        if self._random.random() < 0.7:
            return received_at
        return received_at + timedelta(seconds=self._random.uniform(-7 * 86_400, 300))

    def question(self) -> Question:
        """With each parameter given or left out, more often than not about the scene's zone."""
        choose = self._random.choice
        zone = choose((self.zone, self.zone, self.zone, "UTC", "Pacific/Auckland", "Asia/Kolkata"))
        first = self.day + choose((-31, -7, -1, 0, 0, 1)) * DAY
        last = first + choose((0, 0, 1, 6, 30)) * DAY
        now = self._midnight + timedelta(minutes=self._random.randrange(-1500, 20_000))
        asked = Question(zone, now, choose((first, first, None)), choose((last, last, None)))
        if asked.since and asked.since == asked.until:  # a day that the calendar skips: refused
            asked = replace(asked, last=None)
        asked = replace(asked, interval=choose(("hour", "day", "week", "month")))
        asked = replace(asked, bots=choose((False, False, True)), limit=choose((1, 3, 50)))
        if self._random.random() < 0.5:
            asked = replace(asked, tenant=choose(TENANTS))
        filters: dict[str, Any] = {
            **{name: choose(values) for name, values in CONTEXTS.items()},
            "endpoint": choose(("track", "conversion")),
            "type": choose(TYPES),
            "product": 7,
            "source": choose(("instagram", "direct", "b.example")),
        }
        chosen = [name for name in filters if self._random.random() < 0.07]
        asked = replace(asked, **{name: filters[name] for name in chosen})
        steps = [choose(STEPS) for _ in range(choose((2, 2, 3, 4, 8)))]
        by = self._random.sample(sorted(DIMENSIONS), choose((1, 2)))
        return replace(
            asked,
            steps=choose((None, ",".join(steps))),
            within=choose((None, "30m", "1d")),
            by=choose((None, ",".join(by))),
            measure=choose(sorted(MEASURED)),
            touch=choose((None, *TOUCHES)),
        )


def line(record: Record) -> bytes:
    """The record as the collector writes it."""
    known = {
        name: value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if isinstance(value, datetime)
        else value
        for name, value in record.items()
        if value is not None and name != "tenant"
    }
    return json.dumps(known, separators=(",", ":"), default=float).encode()


def asked_of(question: Question, parameters: set[str]) -> dict[str, str]:
    """The question as a query string has it: of a report that takes these parameters."""
    texts = {
        "tz": question.tz,
        "from": question.first and question.first.isoformat(),
        "to": question.last and question.last.isoformat(),
        "interval": question.interval,
        "bots": str(question.bots).lower(),
        "limit": str(question.limit),
        "tenant": question.tenant and str(question.tenant),
        "endpoint": question.endpoint,
        "type": question.type,
        "product": question.product and str(question.product),
        "source": question.source,
        "steps": question.steps,
        "within": question.steps and question.within,
        "by": question.by if "measure" in parameters else question.touch,
        "measure": question.measure,
        **{name: getattr(question, name) for name in CONTEXTS},
    }
    return {name: text for name, text in texts.items() if text and name in parameters}
