"""An ingest request of the fast server: every outcome of its endpoint becomes a response."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from port_tools import port

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Product, Tenant
from service.collector.directory.directory import Directory
from service.collector.intake import Outcome, Owed, Reply, Submission, Waiting
from service.collector.journal import Batch
from service.shared.request_counters import RequestCounters
from service.web.http.exchange import Exchange, RequestHead
from service.web.public.app import IngestRoute
from service.web.public.ingest import Ingest

PATH = "/endpoint"
UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
SHOP = Tenant(1, UUID, "shop", "Shop", "active")
LAMP = Product(7, 1, "Lamp", None)
REFRESH_NEVER_S = 1e6


class FakePeer:
    """A connection that waits for one answer."""

    address = "192.0.2.1"

    def __init__(self) -> None:
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def response_ready(self, exchange: Exchange) -> None:
        assert exchange.response is not None
        self.response.set_result(exchange.response)

    def resume(self) -> None: ...

    def reject(self, exchange: Exchange, response: bytes) -> None: ...


@pytest.mark.parametrize("imported", [[], [SHOP]], ids=["absent", "found"])
@pytest.mark.parametrize(
    ("method", "key"),
    [("tenant", (1,)), ("tenant", (UUID,)), ("tenant_by_slug", ("shop",)), ("has_product", (1, 7))],
)
def test_an_endpoint_may_ask_the_database(
    tmp_path: Path, method: str, key: tuple[Any, ...], imported: list[Tenant]
) -> None:
    """A miss of the directory's snapshot is looked up before the response."""

    async def scenario() -> bytes:
        database = DirectoryDatabase(f"sqlite:///{tmp_path}/directory.db")
        database.create_tables()
        directory = Directory(database, refresh_s=REFRESH_NEVER_S)
        await directory.start()

        def endpoint(submission: Submission) -> Outcome:
            looked_up = getattr(directory, method)(*key)
            return Waiting(looked_up, lambda found: Reply(200, {"found": bool(found)}))

        try:
            if imported:
                database.upsert(imported, [LAMP])
            return await asyncio.wait_for(response_to(endpoint), 60)
        finally:
            await directory.stop()
            database.dispose()

    head, body = asyncio.run(scenario()).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert orjson.loads(body) == {"found": bool(imported)}


STORED, LOST = (b"HTTP/1.1 202 ", b'{"n":1}'), (b"HTTP/1.1 503 ", b"send it again")


@pytest.mark.parametrize(
    ("lost", "error", "expected"),
    [
        ("send it again", None, STORED),
        ("send it again", OSError("no space"), LOST),
        (None, OSError("no space"), STORED),
    ],
)
def test_an_owed_reply_waits_for_its_batch(
    lost: str | None, error: Exception | None, expected: tuple[bytes, bytes]
) -> None:
    """Durable or not: a lost event is a 503, a rejection stays what it is."""

    async def scenario() -> bytes:
        batch = Batch()
        response = response_to(lambda _: Owed(batch, Reply(202, {"n": 1}), lost))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not response.done()
        batch.settle(error)
        return await asyncio.wait_for(response, 60)

    head, body = asyncio.run(scenario()).split(b"\r\n\r\n")
    assert head.startswith(expected[0])
    assert expected[1] in body
    assert b"no space" not in body


def test_a_wait_that_fails_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """As any defect of an endpoint."""

    async def scenario() -> bytes:
        waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        response = response_to(lambda _: Waiting(waited, lambda _: Reply(200, {})))
        waited.set_exception(RuntimeError("a defect"))
        return await asyncio.wait_for(response, 60)

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 500 ")
    assert [record.message for record in caplog.records] == ["uncaught exception", "request"]


def response_to(endpoint: Any) -> asyncio.Future[bytes]:
    """Return the response to a POST to this endpoint."""
    route = IngestRoute(PATH, endpoint, RequestCounters([PATH], 1).route(PATH, 0), 1024)
    peer = FakePeer()
    head = RequestHead(b"POST", PATH.encode(), "1.1", [], {}, 0, keeps_alive=True)
    exchange = Ingest(replace(port(), routes=(route,))).open(peer, head)
    assert exchange is not None
    asyncio.get_running_loop().call_soon(exchange.on_end)
    return peer.response
