"""A server that fails: decisions go on at once by the machine's share, and come back."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from throttle_tools import Worker, eventually, outcome, together
from valkey_process import ValkeyProcess

from service.collector.throttle.valkey.connection import ServerRefused
from service.collector.throttle.valkey.server import WAIT_S
from service.collector.throttle.valkey.tally import Word
from service.collector.waiting import Waiting

HANGS_S = 0.02  # whatever it is, a server that hangs does not reply in time


def enter(worker: Worker, key: str = "a", cost: int = 1) -> Callable[[], Any]:
    return lambda: worker.gates.api.enter(key, 1, cost)


async def left(worker: Worker, key: str = "a") -> int:
    """The requests that are left, after taking one."""
    decision = await outcome(enter(worker, key))
    remaining: int = decision.remaining
    return remaining


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if "server" in record.message]


# -- every way to fail --------------------------------------------------------------------------


def killed(server: ValkeyProcess) -> None:
    server.kill()


def paused(server: ValkeyProcess) -> None:
    server.pause()


def without_memory(server: ValkeyProcess) -> None:
    server.command("CONFIG", "SET", "maxmemory", 1)


def read_only(server: ValkeyProcess) -> None:
    server.command("REPLICAOF", "127.0.0.1", 1)


def not_permitted(server: ValkeyProcess) -> None:
    server.command("ACL", "SETUSER", "default", "-eval", "-evalsha")


def back(server: ValkeyProcess, failure: Callable[[ValkeyProcess], None]) -> None:
    if failure is killed:
        server.start()
    elif failure is paused:
        server.resume()
    else:
        server.command("CONFIG", "SET", "maxmemory", 0)
        server.command("REPLICAOF", "NO", "ONE")
        server.command("ACL", "SETUSER", "default", "+eval", "+evalsha")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("failure", [killed, paused, without_memory, read_only, not_permitted])
def test_decisions_go_on_by_the_machine_and_come_back(
    own: ValkeyProcess,
    caplog: pytest.LogCaptureFixture,
    failure: Callable[[ValkeyProcess], None],
) -> None:
    """No request waits for a server that is away; the log has a line per change."""
    caplog.set_level(logging.INFO)
    own.start()

    async def scenario() -> None:
        async with Worker(own.url, wait_s=HANGS_S).running() as worker:
            failure(own)
            assert await left(worker) == 8
            assert await left(worker) == 7
            await worker.is_away()
            assert await left(worker) == 6
            assert worker.words[Word.IS_UP] == 0
            for key in "bcdefgh":
                assert await left(worker, key) == 8
            back(own, failure)
            await worker.decides()
            assert worker.server.why_away is None
            assert isinstance(enter(worker)(), Waiting)

    asyncio.run(scenario())
    assert changes(caplog) == ["WARNING", "INFO"]


def test_a_start_without_a_server_is_by_the_machine(
    own: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """And the server decides once it runs."""
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        worker = Worker(own.url)
        assert enter(worker)().remaining == 8
        async with worker.running(decides=False):
            await worker.is_away()
            assert enter(worker)().remaining == 7
            own.start()
            await worker.decides()
            assert await left(worker) == 8

    asyncio.run(scenario())
    assert changes(caplog) == ["WARNING", "INFO"]


def test_a_script_that_the_server_has_lost_is_loaded_again(valkey: ValkeyProcess) -> None:
    """The requests in between are decided by the machine."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            valkey.command("SCRIPT", "FLUSH")
            assert await left(worker) == 8
            assert worker.by_machine == 1
            await worker.is_away()
            await worker.decides()
            assert await left(worker) == 8

    asyncio.run(scenario())


# -- the share ---------------------------------------------------------------------------------


def test_a_machine_has_its_share(valkey: ValkeyProcess, own: ValkeyProcess) -> None:
    """Of requests and bytes, in decisions and headers; as many machines as were there last."""
    own.start()

    async def scenario() -> None:
        async with (
            Worker(own.url, machine="m1").running() as worker,
            Worker(own.url, machine="m2").running(),
            Worker(own.url, machine="m2").running(),
            Worker(own.url, machine="m3").running(),
        ):
            await eventually(lambda: worker.words[Word.MACHINES] == 3)
            own.kill()
            await worker.is_away()
            gates = worker.gates
            assert [await left(worker) for _ in range(3)] == [2, 1, 0]
            refused, headers = await outcome(enter(worker))
            assert refused.startswith("Too many requests")
            assert headers["X-RateLimit-Limit"] == "9"
            entered = gates.api.enter_many("b", 5)
            assert (entered.requests, entered.decision.remaining) == (3, 0)
            # A third of 1000 bytes is less than this body, which may pass nevertheless.
            assert gates.interactions.enter("c", 500).remaining == 1
            assert (await outcome(lambda: gates.interactions.enter("c", 1)))[1]

    asyncio.run(scenario())


def test_a_worker_that_starts_without_the_server_has_the_last_known_share(
    own: ValkeyProcess,
) -> None:
    """Not the whole limit; and what the server says later is remembered in its place."""

    async def scenario() -> None:
        worker = Worker(own.url, known_machines=3)
        async with worker.running(decides=False):
            await worker.is_away()
            assert [await left(worker) for _ in range(3)] == [2, 1, 0]
            assert worker.words[Word.MACHINES] == 3
            own.start()
            await worker.decides()
            await eventually(lambda: worker.remembered == [1])
            assert worker.words[Word.MACHINES] == 1

    asyncio.run(scenario())


@pytest.mark.usefixtures("impatient")
def test_no_decision_waits_for_longer_than_5_ms(own: ValkeyProcess) -> None:
    """By default: the server hangs, and each request that asks it has a timer of 4 ms.

    Then it is decided here. A timer fires in the turn of the loop that follows.
    """
    own.start()

    async def scenario() -> None:
        loop, delays_s = asyncio.get_running_loop(), []
        call_later = loop.call_later

        def recorded(delay_s: float, callback: Callable[..., object], *values: Any) -> Any:
            if callback.__name__ == "_read_once_more":
                delays_s.append(delay_s)
            return call_later(delay_s, callback, *values)

        loop.call_later = recorded  # type: ignore[method-assign]
        async with Worker(own.url, wait_s=WAIT_S).running() as worker:
            own.pause()
            delays_s.clear()
            before = worker.by_server
            decided = [await left(worker, f"client {number}") for number in range(20)]
            await worker.is_away()
        assert decided == [8] * 20
        assert (worker.by_server, worker.by_machine) == (before, 20)
        assert delays_s
        assert {*delays_s} == {WAIT_S}
        assert WAIT_S <= 0.004

    asyncio.run(scenario())


def test_a_machine_that_has_gone_is_forgotten(valkey: ValkeyProcess) -> None:
    """Its last registration is too old."""
    valkey.command("ZADD", "beaconlog:throttle:1:machines", 1, "gone")

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            assert worker.words[Word.MACHINES] == 1

    asyncio.run(scenario())


# -- late decisions ----------------------------------------------------------------------------


class SlowReplies:
    """A way to a server that can hold its replies back."""

    def __init__(self, server: ValkeyProcess, folder: Path) -> None:
        self._server = server
        self.path = folder / "slow.sock"
        self.replies = asyncio.Event()
        self.replies.set()
        self._ways: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SlowReplies]:
        listening = await asyncio.start_unix_server(self._serve, self.path)
        try:
            yield self
        finally:
            listening.close()
            await asyncio.gather(*self._ways)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._server.socket)
        always = asyncio.Event()
        always.set()
        self._ways += [
            asyncio.create_task(self._pass(client, to_server, always)),
            asyncio.create_task(self._pass(server, to_client, self.replies)),
        ]

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                await is_open.wait()
                sink.write(data)
        sink.close()
        with suppress(OSError):
            await sink.wait_closed()


def test_a_decision_that_arrives_late_is_not_counted_twice(
    valkey: ValkeyProcess, tmp_path: Path
) -> None:
    """The machine has decided; what the server had taken in time is given back."""

    async def scenario() -> None:
        async with (
            SlowReplies(valkey, tmp_path).running() as slow,
            Worker(f"unix://{slow.path}", wait_s=2.0).running() as worker,
        ):
            assert await left(worker) == 8
            slow.replies.clear()
            waits = [enter(worker, cost=2)(), enter(worker, cost=7)()]
            assert all(isinstance(wait, Waiting) for wait in waits)
            assert [await wait.awaited for wait in waits] == [None, None]
            assert enter(worker)().remaining == 8  # no further question meanwhile
            assert valkey.command("INFO", "commandstats").count(b"evalsha:calls=2,") == 1
            slow.replies.set()
            await eventually(lambda: worker.words[Word.GIVEN_BACK])
            assert worker.words[Word.GIVEN_BACK] == 1  # the other was refused
            await eventually(lambda: isinstance(enter(worker, "b")(), Waiting))
            assert await left(worker) == 7

    asyncio.run(scenario())


def test_a_server_that_is_mostly_late_is_told(
    valkey: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """In one line, although it replies: no answer comes within no time."""
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        async with Worker(valkey.url, wait_s=0.0).running() as worker:
            clients = map("client {}".format, itertools.count())

            def is_told() -> object:
                enter(worker, next(clients))()
                return worker.server.why_away

            await eventually(is_told)
            assert worker.server.why_away == "most replies take longer than 0 ms"
            assert worker.by_server == 0

    asyncio.run(scenario())
    assert changes(caplog) == ["WARNING"]


@pytest.mark.usefixtures("impatient")
def test_a_request_that_waits_in_the_server_takes_nothing_later(own: ValkeyProcess) -> None:
    """Even after its connection has ended."""
    own.start()

    async def scenario() -> None:
        async with Worker(own.url, wait_s=HANGS_S).running() as worker:
            own.pause()
            assert [each.remaining for each in await together(enter(worker), enter(worker))] == [
                8,
                7,
            ]
            await worker.is_away()
        own.resume()
        async with Worker(own.url).running() as another:
            assert await left(another) == 8

    asyncio.run(scenario())


def test_a_request_that_was_cancelled_harms_no_other(valkey: ValkeyProcess) -> None:
    """They are in one call."""

    async def scenario() -> None:
        async with Worker(valkey.url).running() as worker:
            first, second = enter(worker)(), enter(worker)()
            first.awaited.cancel()
            assert (await outcome(lambda: second)).remaining == 7

    asyncio.run(scenario())


# -- what an operator must correct ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "url", "reason"),
    [
        ({"requirepass": "right"}, "unix://:wr0ng@{}", "refuses the log-in (WRONGPASS)"),
        ({"requirepass": "right"}, "unix://{}", "refuses the log-in (NOAUTH)"),
        ({}, "unix://{}?db=16", "has no database 16"),
        ({"cluster_enabled": "yes"}, "unix://{}", "runs in mode cluster"),
    ],
)
def test_a_server_that_refuses_stops_the_start(
    own: ValkeyProcess,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, object],
    url: str,
    reason: str,
) -> None:
    """The error says why, without the password; a worker that runs goes on by itself."""
    own = ValkeyProcess(own.socket.parent, **options).start()

    async def scenario() -> str | None:
        worker = Worker(url.format(own.socket))
        with pytest.raises(ServerRefused) as error:
            await worker.server.check()
        assert reason in str(error.value)
        async with worker.running(decides=False):
            await worker.is_away()
            assert enter(worker)().remaining == 8
            return worker.server.why_away

    try:
        why_away = asyncio.run(scenario())
    finally:
        own.kill()
    assert why_away is not None
    assert reason in why_away
    assert "wr0ng" not in why_away + caplog.text


def test_a_server_with_a_password_decides(own: ValkeyProcess) -> None:
    """In a database of its own."""
    own = ValkeyProcess(own.socket.parent, requirepass="right").start()

    async def scenario() -> None:
        worker = Worker(f"unix://:right@{own.socket}?db=3")
        await worker.server.check()
        async with worker.running():
            assert await left(worker) == 8

    try:
        asyncio.run(scenario())
        assert b"db3:keys=" in own.command("INFO", "keyspace")
    finally:
        own.kill()


def test_a_user_needs_no_more_than_the_commands_of_the_handbook(valkey: ValkeyProcess) -> None:
    """On its own keys, as `docs/operations.md` lists them."""
    page = (Path(__file__).parents[6] / "docs/operations.md").read_text()
    (listed,) = re.findall(r"The user needs the commands ([^`]+),\s+on keys `([^`]+)`", page)
    commands = [name.lower().replace(" ", "|") for name in re.split(r",\s+|\s+and\s+", listed[0])]
    valkey.command("ACL", "SETUSER", "shop", "reset", "on", ">right", f"~{listed[1]}")
    valkey.command("ACL", "SETUSER", "shop", *(f"+{name}" for name in commands))

    async def scenario() -> None:
        async with Worker(f"unix://shop:right@{valkey.socket}?db=1").running() as worker:
            assert await left(worker) == 8
            worker.server._line._send(
                [worker.gates.api._table.ask("a", (9, 0, 0), 1).returned(1)], 1e12, list
            )
            assert await left(worker) == 8

    asyncio.run(scenario())


def test_another_kind_of_server_is_away(tmp_path: Path) -> None:
    """It replies in no way that is understood."""

    async def scenario() -> None:
        async def reply(_: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
            to_client.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            to_client.close()
            await to_client.wait_closed()

        path = tmp_path / "other.sock"
        listening = await asyncio.start_unix_server(reply, path)
        async with listening:
            worker = Worker(f"unix://{path}")
            async with worker.running(decides=False):
                await worker.is_away()
                assert enter(worker)().remaining == 8

    asyncio.run(scenario())
