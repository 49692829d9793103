"""Decisions of a real server: the same as those of the buckets of a single machine."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from throttle_tools import LIMITS, Worker, outcome, scarce, together
from valkey_process import ValkeyProcess

from service.collector.throttle.gates import Entered, Gates, RateLimits
from service.collector.throttle.token_bucket import Decision, Rate

CALLS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("api", "enter", ("a", 100)),
    ("api", "enter", ("a", 0, 3)),
    ("api", "enter", ("a", 950)),
    ("api", "enter", ("a", 0, 7)),
    ("api", "add_bytes", ("a", 500)),
    ("api", "add_bytes", ("a", 500)),
    ("api", "enter_many", ("a", 3)),
    ("api", "enter_many", ("a", 5)),
    ("api", "enter_many", ("a", 5)),
    ("interactions", "enter", ("a", 300)),
    ("interactions", "enter", ("a", 300)),
    ("interactions", "enter_many", ("a", 100)),
    ("interactions", "enter", ("b", 1000)),
    ("interactions", "enter", ("b", 1)),
    ("api_tenant", "add_bytes", ("t", 500)),
    ("interactions_tenant", "enter", ("t", 400)),
    ("interactions_tenant", "enter", ("t", 1)),
    ("interactions_tenant", "enter", ("ip:a", 0)),
]


def plain(result: Any) -> Any:
    """A result without the time that passed between two decisions."""
    if isinstance(result, Decision):
        return replace(result, full_after_s=round(result.full_after_s, -2))
    if isinstance(result, Entered):
        over = result.over and (str(result.over), dict(result.over.headers))
        return result._replace(decision=plain(result.decision), over=plain(over))
    if isinstance(result, tuple) and isinstance(result[-1], dict):
        return re.sub(r"\d+", "", result[0]), {
            name: re.sub(r"t=\d+", "", text)
            for name, text in result[1].items()
            if name not in {"Retry-After", "X-RateLimit-Reset"}
        }
    return result


async def results(gates: Gates) -> list[Any]:
    return [
        plain(await outcome(lambda: getattr(getattr(gates, gate), method)(*costs)))  # noqa: B023
        for gate, method, costs in CALLS
    ]


def test_a_server_decides_as_the_memory_of_a_machine_does(valkey: ValkeyProcess) -> None:
    """Each gate, each bucket, with the same headers."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            assert await results(worker.gates) == await results(worker.alone)
            assert (worker.by_server, worker.by_machine) == (len(CALLS), 0)

    asyncio.run(scenario())


def test_a_group_that_is_off_asks_nobody(valkey: ValkeyProcess) -> None:
    """Nor does a rate that is off."""
    limits = RateLimits(api=scarce(1), address_bytes=scarce(1))

    async def scenario() -> None:
        async with Worker(valkey.url, limits=limits).running() as worker:
            assert worker.gates.interactions.enter("a", 100) is None
            assert worker.gates.interactions_tenant.enter_many("a", 9) == (9, None, None)
            assert worker.gates.api_tenant.add_bytes("a", 100) is None
            assert await outcome(lambda: worker.gates.api.enter("a", 1))
            assert worker.by_server == 1

    asyncio.run(scenario())


def test_a_cost_above_the_burst_is_a_defect(valkey: ValkeyProcess) -> None:
    """It could never be allowed."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            with pytest.raises(ValueError, match="cost"):
                await outcome(lambda: worker.gates.api.enter("a", 1001))

    asyncio.run(scenario())


def test_bodies_may_be_larger_than_four_gigabytes(valkey: ValkeyProcess) -> None:
    """As far as the limits allow."""
    limits = RateLimits(api=scarce(9), address_bytes=Rate(per_s=1e9, burst=9 << 30))

    async def scenario() -> None:
        async with Worker(valkey.url, limits=limits).running() as worker:
            assert await outcome(lambda: worker.gates.api.enter("a", 5 << 30))
            refused, headers = await outcome(lambda: worker.gates.api.enter("a", 9 << 30))
            assert "bytes" in refused
            assert headers["X-RateLimit-Limit"] == str(9 << 30)

    asyncio.run(scenario())


def test_all_requests_of_a_turn_are_one_call(valkey: ValkeyProcess) -> None:
    """In their order, also for one key."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            enter = worker.gates.api.enter
            decisions = await together(*[lambda: enter("a", 1)] * 9, lambda: enter("b", 1))
            assert [each.remaining for each in decisions] == [8, 7, 6, 5, 4, 3, 2, 1, 0, 8]

    asyncio.run(scenario())
    stats = valkey.command("INFO", "commandstats")
    assert b"cmdstat_evalsha:calls=1," in stats


def test_names_tell_no_address_and_expire(valkey: ValkeyProcess) -> None:
    """Other passwords make other names."""

    async def scenario(secret: str) -> None:
        async with Worker(valkey.url, secret=secret).running() as worker:
            address = "203.0.113.7"
            await outcome(lambda: worker.gates.api.enter(address, 1))
            await outcome(lambda: worker.gates.interactions_tenant.enter(f"ip:{address}", 1))

    def names() -> set[bytes]:
        return set(re.findall(rb"beaconlog:throttle:\S+", valkey.command("KEYS", "*")))

    asyncio.run(scenario("first"))
    first = names()
    assert len(first) == 3
    assert all(
        re.fullmatch(rb"beaconlog:throttle:1:([at]:[0-9a-f]{16}|machines)", n) for n in first
    )
    assert all(int(valkey.command("PTTL", name.decode())[1:]) > 0 for name in first)
    assert valkey.command("DBSIZE") == b":3\r\n"
    asyncio.run(scenario("second"))
    assert len(names()) == 5


def test_a_bucket_that_is_full_again_is_gone(valkey: ValkeyProcess) -> None:
    """Tokens that are given back make it full at once."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            await outcome(lambda: worker.gates.api.enter("a", 1, 3))
            line: Any = worker.server._line
            table: Any = worker.gates.api._table  # type: ignore[attr-defined]
            line._send([table.ask("a", (3, 0, 1), 1).returned(1)], float("inf"), lambda _: None)
            assert (await outcome(lambda: worker.gates.api.enter("a", 1))).remaining == 8

    asyncio.run(scenario())


def test_limits_may_change_while_a_bucket_is_used(valkey: ValkeyProcess) -> None:
    """A smaller bucket is not emptier than empty."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            await outcome(lambda: worker.gates.api.enter("a", 1, 9))
        smaller = RateLimits(api=scarce(2), address_bytes=LIMITS.address_bytes)
        async with Worker(valkey.url, limits=smaller).running() as worker:
            _, headers = await outcome(lambda: worker.gates.api.enter("a", 1))
            assert int(headers["Retry-After"]) <= 600

    asyncio.run(scenario())
