"""Any bytes, on either port, of either server: the outcome of the table, and nothing left of them.

`hostile_bytes.TABLE` takes a line per case. Then its lines are mutated, joined and cut at random,
and so are streams from the grammar of HTTP.
The last test looks at what is left: the same processes, their memory, a clean log, an answer.
"""

from __future__ import annotations

import random
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from conversations import Conversation, HalfClose, hold
from examples import examples
from harness import Service
from hostile_bytes import CALL, MARK, TABLE, Line
from hostile_requests import cuts, pieces, streams
from hypothesis import HealthCheck, given, settings
from wire import TRACK, connect

if TYPE_CHECKING:
    from harness import StartService

MEMORY_GROWTH_MAX = 1.1
PORTS = ("fast", "tornado", "private")
MUTATIONS = examples(600)
MUTATED_BYTES_MAX = 3000
STREAMS = 200
CLIENTS = 4


class Shared(NamedTuple):
    """Services whose ports are of every kind, and their processes as they began."""

    services: dict[str, Service]
    urls: dict[str, str]
    memory_kib: dict[int, int]


@pytest.fixture(scope="module")
def shared(start_shared_service: StartService) -> Shared:
    settings = {"throttle_api": "off", "throttle_tenant_aware": "off", "compact_interval_s": 3600}
    services = {
        "fast": start_shared_service(**settings),
        "tornado": start_shared_service(
            role="collect", name="stock", http_server="tornado", **settings
        ),
    }
    urls = {name: service.url for name, service in services.items()}
    urls["private"] = services["fast"].reports_url
    services["fast"].wait_for_first_jobs()
    for line in TABLE:  # every path of the code has been loaded once before memory is measured
        for url in urls.values():
            statuses_of(url, (line.sent,))
    return Shared(services, urls, memory_kib(services))


def memory_kib(services: dict[str, Service]) -> dict[int, int]:
    """Resident memory by process."""
    sizes = {}
    for service in services.values():
        for pid in service.children():
            status = Path(f"/proc/{pid}/status").read_text()
            sizes[pid] = int(status.partition("VmRSS:")[2].split()[0])
    return sizes


def expected(line: Line, port: str) -> str:
    """The line's outcome on a port."""
    if port == "fast":
        return line.outcome
    stock = line.stock or line.outcome
    return stock if port == "tornado" else line.private or stock.replace("202", "404")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_bytes_have_their_outcome(shared: Shared, line: Line, port: str) -> None:
    """As the table says."""
    outcome = expected(line, port)
    if outcome == "waits":
        conversation = Conversation((line.sent, HalfClose()), is_cut_short=True)
        assert str(hold(shared.urls[port], conversation)) == "nothing, ends"
    else:
        assert str(hold(shared.urls[port], Conversation((line.sent,)))) == outcome


def test_the_table_has_no_line_twice() -> None:
    """Names are the tests'."""
    assert len({line.name for line in TABLE}) == len(TABLE) >= 150


# -- mutations --------------------------------------------------------------------------------

SEEDS = [line.sent for line in TABLE if 0 < len(line.sent) <= MUTATED_BYTES_MAX]


def mutated(chance: random.Random) -> bytes:
    """Some lines of the table one behind the other, with a few bytes wrong."""
    sent = bytearray(b"".join(chance.choices(SEEDS, k=chance.choice([1, 1, 2, 3]))))
    for _ in range(chance.choice([0, 1, 1, 2, 5])):
        at = chance.randrange(len(sent) + 1)
        size = chance.choice([1, 1, 4, 30])
        piece = bytes(sent[at : at + size])
        sent[at : at + size] = chance.choice(
            [
                b"",
                piece * 2,
                piece * 40,
                bytes([chance.randrange(256)]),
                b"\r\n",
                b"0",
                b"\0",
                b": ",
            ]
        )
    return bytes(sent)


def segments(chance: random.Random, sent: bytes) -> list[bytes]:
    """The bytes as they may arrive."""
    cuts = sorted(chance.choices(range(len(sent) + 1), k=chance.choice([0, 1, 3, 10])))
    return [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


def statuses_of(url: str, parts: list[bytes]) -> list[int]:
    """Send the parts, say that no more comes, and read until the server has nothing more to say."""
    heard = b""
    with closing(connect(url)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # cut off meanwhile
            for part in parts:
                peer.sendall(part)
            peer.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := peer.recv(65536):
                heard += more
    return [int(piece[:3]) for piece in heard.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("port", PORTS)
def test_mutated_requests_are_answered_or_cut_off(shared: Shared, port: str) -> None:
    """However they are cut into segments: no error of ours, and no connection that stays."""

    def client(seed: int) -> list[int]:
        chance = random.Random(f"{port} {seed}")
        found = []
        for _ in range(MUTATIONS // CLIENTS):
            found += statuses_of(shared.urls[port], segments(chance, mutated(chance)))
        return found

    with ThreadPoolExecutor(CLIENTS) as pool:
        found = [status for statuses in pool.map(client, range(CLIENTS)) for status in statuses]
    assert len(found) > MUTATIONS // 2
    assert [status for status in found if status >= 500] == []


@pytest.mark.parametrize("port", PORTS)
@given(stream=streams(), cuts=cuts)
@settings(max_examples=examples(STREAMS), deadline=None, suppress_health_check=list(HealthCheck))
def test_streams_of_the_grammar_are_answered_or_cut_off(
    shared: Shared, port: str, stream: bytes, cuts: list[int]
) -> None:
    """As `hostile_requests` makes them: no error of ours, and the connection ends."""
    found = statuses_of(shared.urls[port], pieces(stream, cuts))
    assert [status for status in found if status >= 500] == []


# -- what is left -----------------------------------------------------------------------------


def test_after_all_of_it_nothing_is_left_of_it(shared: Shared) -> None:
    """The same processes, memory within a tenth, an honest request answered, a clean log, a quick
    drain."""
    after_kib = memory_kib(shared.services)
    assert after_kib.keys() == shared.memory_kib.keys()
    grown = {pid: after_kib[pid] / before for pid, before in shared.memory_kib.items()}
    assert {pid: ratio for pid, ratio in grown.items() if ratio > MEMORY_GROWTH_MAX} == {}
    assert shared.services["fast"].get_private("/readyz").status == 200
    for service in shared.services.values():
        assert service.post(TRACK, CALL).status == 202
        assert service.stop() == 0
        log = service.log()
        words = ("Traceback", " ERROR ", " WARN", MARK.decode())
        assert [word for word in words if word in log] == []
        assert "drained cut_off=0\n" in log
