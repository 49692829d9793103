"""An intake with fakes around it, to ask endpoints without a server."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from etl.channels.rules import Rules
from etl.directory.entries import DirectoryUnavailable, Tenant
from service.collector.clock import Clock
from service.collector.context.agents import Agents
from service.collector.context.contexts import Contexts
from service.collector.context.countries import NoCountries
from service.collector.contract.contract import Contract
from service.collector.directory.directory import MISS, Miss
from service.collector.identifiers import us_of
from service.collector.intake import (
    EventStream,
    Outcome,
    Parts,
    Reply,
    Submission,
    TimeBounds,
    make_endpoints,
    reply_of,
)
from service.collector.journal import Batch
from service.collector.rejected import ByteBudget, RejectedStream
from service.collector.signing.signatures import Secrets
from service.collector.signing.verifier import Verifier, never_newer
from service.collector.throttle.gates import Buckets, Gate, Gates, RateLimits
from service.collector.visitors import DailySalts
from service.collector.waiting import Waiting

T = TypeVar("T")

NOW = datetime(2026, 11, 23, 4, 10, 0, 123456, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW_TEXT = "2026-11-23T04:10:00.123456Z"
UUID = "5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10"
EVENT_ID = "0193b2d0-7b1c-7d43-9a55-0c6f2f6a1e11"
SHOP = Tenant(17, UUID, "la-colmena", "La Colmena", "active")
OTHER = Tenant(18, None, "el-faro", "El Faro", "active")
ABROAD = Tenant(19, None, "la-ceiba", "La Ceiba", "active", None, "America/Tegucigalpa", "USD")
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"
CONTRACT = Contract.load()
CONTEXTS = Contexts(Agents(Rules.load()), NoCountries())

TRACK = {"tenant_id": "17", "type": "cart_add"}
CONVERSION = {"tenant_slug": "la-colmena", "transaction_id": "T-1", "value": 10}
INTERACTION = {"tenant_id": 17, "type": "view"}
VALID: dict[str, dict[str, Any]] = {
    "track": TRACK,
    "conversion": CONVERSION,
    "interactions": INTERACTION,
}
ENDPOINTS = sorted(VALID)


class FakeDirectory:
    """Two shops; shop 17 sells 1042. `cold`: nothing in memory. `down`: no database.

    It allows `pending_max` questions at a time, as the directory does per address.
    """

    def __init__(self) -> None:
        self.cold = False
        self.down = False
        self.questions = self.pending = self.pending_most = 0
        self.pending_max = 1000
        self.askers: set[str] = set()

    def peek_tenant(self, key: int | str) -> Tenant | Miss | None:
        return MISS if self.cold else self._tenant(key)

    def peek_slug(self, slug: str) -> Tenant | Miss | None:
        return MISS if self.cold else self._slug(slug)

    def peek_product(self, tenant_id: int, product_id: int) -> bool | Miss:
        return MISS if self.cold else (tenant_id, product_id) == (17, 1042)

    async def tenant(self, key: int | str, asker: str) -> Tenant | None:
        return await self._asked(self._tenant(key), asker)

    async def tenant_by_slug(self, slug: str, asker: str) -> Tenant | None:
        return await self._asked(self._slug(slug), asker)

    async def has_product(self, tenant_id: int, product_id: int, asker: str) -> bool:
        return await self._asked((tenant_id, product_id) == (17, 1042), asker)

    async def _asked(self, answer: T, asker: str) -> T:
        self.questions += 1
        self.askers.add(asker)
        self.pending += 1
        self.pending_most = max(self.pending, self.pending_most)
        is_refused = self.down or self.pending > self.pending_max
        await asyncio.sleep(0)
        self.pending -= 1
        if is_refused:
            raise DirectoryUnavailable("no answer")
        return answer

    @staticmethod
    def _tenant(key: int | str) -> Tenant | None:
        return {17: SHOP, "17": SHOP, UUID: SHOP, 18: OTHER, "18": OTHER, 19: ABROAD}.get(key)

    @staticmethod
    def _slug(slug: str) -> Tenant | None:
        return {"la-colmena": SHOP, "el-faro": OTHER, "la-ceiba": ABROAD}.get(slug)


class FakeJournal:
    """Keeps what is submitted; refuses at once or later with the failure it was given."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.refuses_at_once: Exception | None = None
        self.fails_later: Exception | None = None
        self.commits: list[list[dict[str, Any]]] = []
        self.clock_waits: list[asyncio.Future[None] | None] = []

    def clock_wait(self) -> asyncio.Future[None] | None:
        return self.clock_waits.pop(0) if self.clock_waits else None

    def submit_all(self, payloads: Sequence[bytes], received_us: int) -> Batch:
        """As the journal does: all or none."""
        kept = len(self.raw)
        batches = [self.submit(payload, received_us) for payload in payloads]
        self.commits.append(self.lines[kept:])
        return batches[-1]

    def submit(self, payload: bytes, received_us: int) -> Batch:
        received_at = json.loads(payload)["received_at"]
        assert us_of(datetime.fromisoformat(received_at)) == received_us
        if self.refuses_at_once:
            raise self.refuses_at_once
        if not self.fails_later:
            self.raw.append(payload)
            self.lines.append(json.loads(payload, parse_float=Decimal))
        batch = Batch()
        asyncio.get_running_loop().call_soon(batch.settle, self.fails_later)
        return batch


class NoSecrets:
    """No tenant signs."""

    def valid(self, tenant_id: int) -> list[str]:
        return []

    def only_signed(self, tenant_id: int) -> bool:
        return False


class SecretsOf:
    """One tenant signs."""

    def __init__(self, tenant_id: int, secret: str) -> None:
        self._tenant_id, self._secret = tenant_id, secret

    def valid(self, tenant_id: int) -> list[str]:
        return [self._secret] if tenant_id == self._tenant_id else []

    def only_signed(self, tenant_id: int) -> bool:
        return False


class LateGate:
    """A gate whose every decision is waited for."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __getattr__(self, name: str) -> Callable[..., Waiting[Any]]:
        decide = getattr(self._gate, name)

        def ask(*costs: Any) -> Waiting[Any]:
            loop = asyncio.get_running_loop()
            asked: asyncio.Future[None] = loop.create_future()
            loop.call_soon(asked.set_result, None)
            return Waiting(asked, lambda _: decide(*costs))

        return ask


class Collector:
    """An intake with fakes around it, and the last reply it gave."""

    gates_are_late = False

    def __init__(self, folder: Path, **parts: Any) -> None:
        self.directory = FakeDirectory()
        self.journal = FakeJournal()
        self.now = NOW
        self.monotonic_s = 1000.0
        self.clock = Clock(
            wall_ns=lambda: (
                (self.now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
            ),
            monotonic_s=lambda: self.monotonic_s,
        )
        budget = ByteBudget(parts.pop("rejected_bytes_per_min", 1 << 20))
        journal: Any = self.journal
        directory: Any = self.directory
        secrets: Secrets = parts.pop("secrets", NoSecrets())
        verifier = Verifier(secrets, self.clock, parts.pop("newer", never_newer))
        self.salts = salts = DailySalts(folder / "salts")
        bounds = parts.pop("bounds", TimeBounds())
        body_bytes_max = parts.pop("body_bytes_max", 64 << 10)
        batch_bytes_max = parts.pop("batch_bytes_max", 1 << 20)
        buckets = Buckets.shared(RateLimits(**parts), processes=1)
        gates = Gates.of(buckets, self.clock)
        if self.gates_are_late:
            gates = Gates(*map(LateGate, gates))
        self.endpoints = make_endpoints(
            Parts(
                contract=CONTRACT,
                directory=directory,
                verifier=verifier,
                gates=gates,
                events=EventStream(journal, self.clock, salts, bounds, CONTEXTS),
                rejected=RejectedStream(
                    journal, self.clock, budget, schema_version=CONTRACT.version
                ),
                body_bytes_max=body_bytes_max,
                batch_bytes_max=batch_bytes_max,
            )
        )

    def send(self, endpoint: str, body: object, **changes: Any) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        submission = replace(SUBMISSION, body=raw, **changes)
        ask: Callable[[Submission], Outcome] = getattr(self.endpoints, endpoint)

        async def asked() -> Reply:
            return await reply_of(ask(submission))

        return asyncio.run(asked())

    @property
    def events(self) -> list[dict[str, Any]]:
        return [line for line in self.journal.lines if line["kind"] == "event"]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return [line for line in self.journal.lines if line["kind"] == "rejected"]

    @property
    def reasons(self) -> list[str]:
        return [line["reason"] for line in self.rejected]


SUBMISSION = Submission(
    body=b"",
    content_type="application/json",
    content_encoding=None,
    ip="203.0.113.7",
    user_agent=CHROME,
    wants_privacy=False,
    is_browser=True,
)
