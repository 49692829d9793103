"""Responses of pipelined requests, whatever their outcomes are and however their batches end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from connection_tools import FakeManager, FakeTransport
from hypothesis import given
from hypothesis import strategies as st
from port_tools import port

from service.collector.intake import Outcome, Owed, Reply, Submission, Waiting
from service.collector.journal import Batch, JournalBroken
from service.shared.request_counters import RequestCounters
from service.web.http.connection import Connection
from service.web.http.exchange import Peer, RequestHead
from service.web.http.head_cache import HeadCache
from service.web.public.app import IngestRoute, Port
from service.web.public.ingest import Ingest, IngestExchange

PATH = "/endpoint"
KINDS = ("replied", "owed", "waiting", "defect")
LOST = JournalBroken("sync failed")


@dataclass
class Collector:
    """An endpoint whose outcome is what the body names; events that waited are in batch c."""

    batches: dict[str, Batch] = field(default_factory=lambda: {name: Batch() for name in "abc"})
    waits: list[asyncio.Future[None]] = field(default_factory=list)

    def endpoint(self, submission: Submission) -> Outcome:
        number, kind, batch = submission.body.decode().split()
        reply = Reply(202, {"number": int(number)})
        owed = Owed(self.batches[batch], reply, "send it again")
        if kind == "replied":
            return reply
        if kind == "owed":
            return owed
        if kind == "waiting":
            self.waits.append(asyncio.get_running_loop().create_future())
            return Waiting(self.waits[-1], lambda _: Owed(self.batches["c"], reply, None))
        raise RuntimeError("a defect")


class Server(FakeManager):
    """A server of one route."""

    def __init__(self, served: Port) -> None:
        super().__init__(HeadCache())
        self._ingest = Ingest(served)

    def open_exchange(self, peer: Peer, head: RequestHead) -> IngestExchange:  # type: ignore[override]
        exchange = self._ingest.open(peer, head)
        assert exchange is not None
        return exchange


class Client:
    """A connection to the endpoint."""

    def __init__(self, served: Port) -> None:
        self.manager = Server(served)
        self.transport = FakeTransport()
        self.connection = Connection(self.manager)
        self.connection.connection_made(self.transport)

    def send(self, body: bytes) -> None:
        head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        self.connection.data_received(head % (PATH.encode(), len(body)) + body)

    def responses(self) -> list[tuple[int, int | None]]:
        """Return the status and the number of each response."""
        self.manager.flush()
        found = []
        for response in self.transport.written.split(b"HTTP/1.1 ")[1:]:
            number = response.partition(b'"number":')[2].rstrip(b"}")
            found.append((int(response[:3]), int(number) if number else None))
        return found


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


requests = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(KINDS), st.sampled_from("ab")), max_size=12
)


@given(requests, st.permutations(["a", "b", "waits"]), st.sampled_from([None, LOST]), st.booleans())
def test_each_client_gets_its_responses_in_order(
    sent: list[tuple[int, str, str]],
    order: list[str],
    fate_of_b: Exception | None,
    one_leaves: bool,  # noqa: FBT001
) -> None:
    """One response per request, in order, whichever batch is durable first or lost.

    A client that leaves in between costs the others nothing, and nothing stays in flight.
    """

    async def scenario() -> None:
        collector = Collector()
        counters = RequestCounters([PATH], 1).route(PATH, 0)
        served = replace(port(), routes=(IngestRoute(PATH, collector.endpoint, counters, 1024),))
        clients = [Client(served), Client(served)]
        expected: list[list[tuple[int, int | None]]] = [[], []]
        for number, (client, kind, batch) in enumerate(sent):
            clients[client].send(b"%d %b %b" % (number, kind.encode(), batch.encode()))
            expected[client].append(response_of(number, kind, batch))
        if one_leaves:
            clients[0].connection.connection_lost(None)
        steps: dict[str, Callable[[], object]] = {
            "a": lambda: collector.batches["a"].settle(None),
            "b": lambda: collector.batches["b"].settle(fate_of_b),
            "c": lambda: collector.batches["c"].settle(None),
            "waits": lambda: [wait.set_result(None) for wait in collector.waits],
        }
        for step in [*order, "c"]:
            steps[step]()
            await turns()
        for client, responses in zip(clients, expected, strict=True):
            gone = one_leaves and client is clients[0]
            assert gone or client.responses() == responses
        assert not served.in_flight.requests

    def response_of(number: int, kind: str, batch: str) -> tuple[int, int | None]:
        if kind == "defect":
            return 500, None
        is_lost = kind == "owed" and batch == "b" and fate_of_b is not None
        return (503, None) if is_lost else (202, number)

    asyncio.run(scenario())
