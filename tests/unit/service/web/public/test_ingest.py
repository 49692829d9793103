"""An ingest request of the fast server: its endpoint runs in no task, whatever it waits for."""

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
from service.collector.intake import Reply, Submission
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

        async def endpoint(submission: Submission) -> Reply:
            return Reply(200, {"found": bool(await getattr(directory, method)(*key))})

        try:
            if imported:
                database.upsert(imported, [LAMP])
            return await asyncio.wait_for(response_to(endpoint), 20)
        finally:
            await directory.stop()
            database.dispose()

    head, body = asyncio.run(scenario()).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert orjson.loads(body) == {"found": bool(imported)}


def test_a_callback_that_fails_does_not_stop_the_others() -> None:
    """They belong to other clients of the same group commit, and are called all the same."""
    called: list[str] = []

    def failing() -> None:
        called.append("failing")
        raise RuntimeError("a defect")

    async def scenario() -> None:
        errors: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context.get("exception")))
        last = asyncio.Event()
        committed: asyncio.Future[None] = loop.create_future()
        ingest = Ingest(port())
        for callback in (lambda: called.append("first"), failing, failing, last.set):
            ingest.when_done(committed, callback)
        committed.set_result(None)
        await asyncio.wait_for(last.wait(), 20)
        assert [str(error) for error in errors] == ["a defect", "a defect"]

    asyncio.run(scenario())
    assert called == ["first", "failing", "failing"]


def response_to(endpoint: Any) -> asyncio.Future[bytes]:
    """Return the response to a POST to this endpoint."""
    route = IngestRoute(PATH, endpoint, RequestCounters([PATH], 1).route(PATH, 0))
    peer = FakePeer()
    head = RequestHead(b"POST", PATH.encode(), "1.1", [], {}, 0, keeps_alive=True)
    exchange = Ingest(replace(port(), routes=(route,))).open(peer, head)
    assert exchange is not None
    asyncio.get_running_loop().call_soon(exchange.on_end)
    return peer.response
