"""Waits: an endpoint continues where it stopped, and does nothing twice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from intake_tools import ENDPOINTS, NOW_TEXT, SUBMISSION, VALID, Collector

from service.collector.intake import Outcome, Owed, Reply, Waiting, reply_of
from service.collector.throttle.token_bucket import Rate

RATE = Rate(per_s=1 / 60, burst=9)
LIMITS = {"api": RATE, "address": RATE, "tenant_aware": RATE}


def outcome_of(collector: Collector, endpoint: str, **fields: Any) -> Outcome:
    body = json.dumps(VALID[endpoint] | fields).encode()
    ask = getattr(collector.endpoints, endpoint)
    outcome: Outcome = ask(replace(SUBMISSION, body=body))
    return outcome


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_event_that_memory_knows_waits_for_its_batch_alone(
    collector: Collector, endpoint: str
) -> None:
    """Its record is submitted before the endpoint returns."""

    async def scenario() -> None:
        outcome = outcome_of(collector, endpoint, product_id=1042)
        assert isinstance(outcome, Owed)
        assert len(collector.events) == 1

    asyncio.run(scenario())


@pytest.mark.usefixtures("gates")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_tokens_are_taken_once_whatever_is_waited_for(tmp_path: Path, endpoint: str) -> None:
    """A look-up of the tenant, one of the product, and the clock: one request, one token."""
    collector = Collector(tmp_path, **LIMITS)
    collector.directory.cold = True

    async def scenario() -> Reply:
        handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        collector.journal.clock_waits = [handled, None, handled]
        handled.set_result(None)
        return await reply_of(outcome_of(collector, endpoint, product_id=1042))

    reply = asyncio.run(scenario())
    assert reply.status in (200, 201, 202)
    assert reply.headers["X-RateLimit-Remaining"] == "8"
    assert (len(collector.events), collector.directory.questions) == (1, 2)


@pytest.mark.parametrize("body", [b"{", None], ids=["rejected", "admitted"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_nothing_is_stamped_while_the_clock_is_wrong(
    collector: Collector, endpoint: str, body: bytes | None
) -> None:
    """An event and a rejected payload are stamped after the wait, even if the clock is wrong."""
    sent = json.dumps(VALID[endpoint]).encode() if body is None else body

    async def scenario() -> None:
        handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        collector.journal.clock_waits = [handled]
        outcome = getattr(collector.endpoints, endpoint)(replace(SUBMISSION, body=sent))
        assert isinstance(outcome, Waiting)
        assert collector.journal.lines == []
        handled.set_result(None)
        await reply_of(outcome)

    asyncio.run(scenario())
    assert [line["received_at"] for line in collector.journal.lines] == [NOW_TEXT]
