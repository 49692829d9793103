"""Administrators' SQL reads and does nothing else: attempts of `sql_attempts`, over HTTP against a
warehouse, some on the command line; `test_only_select.py` tries all that are refused unrun.
Afterwards it is the same warehouse, and the same files; its memory is what it was."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from examples import share
from harness import Service, StartService, eventually
from sql_attempts import ENDLESS, REFUSED, STOPPED
from wire import Reply

SQL = "/api/v1/sql"
TRIED = [*REFUSED[::8], *share(STOPPED)]
ENDLESS_TRIED = share(ENDLESS)
TIMEOUT_S = 45
HASTY_TIMEOUT_S = 2
"""An endless query keeps every core busy until then."""
PATIENCE_S = 120.0
"""For a first answer within the deadline on a busy machine."""
MEMORY_BYTES_MAX = 256 << 20
MEMORY_KEPT_MAX = 1.10


class Guarded:
    """A warehouse with an event in the lake, and what must stay as it is."""

    def __init__(self, service: Service) -> None:
        self.service = service
        (service.data / "link").symlink_to("/etc")
        eventually(lambda: self.ask("SELECT 1 AS a").status == 200, PATIENCE_S)
        self.pids = service.children()
        self.files = fingerprint(service.data)

    def ask(self, query: str, **more: object) -> Reply:
        """The answer to a query."""
        body = {"sql": self.filled(query), **more}
        return self.service.request("POST", SQL, body, base=self.service.reports_url)

    def filled(self, query: str) -> str:
        """The query about this data folder and port."""
        port = str(urlsplit(self.service.reports_url).port)
        return query.replace("{data}", str(self.service.data)).replace("{port}", port)

    def require_unchanged(self) -> None:
        """The same processes, the same files."""
        assert self.service.children() == self.pids
        assert fingerprint(self.service.data) == self.files


def fingerprint(data: Path) -> dict[str, str]:
    """Every file of the data folder by its content."""
    files = [path for path in data.rglob("*") if path.is_file() and "link" not in path.parts]
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.suffix != ".db"
    }


def resident_bytes(pids: list[int]) -> int:
    """The memory of some processes."""
    statm = [Path(f"/proc/{pid}/statm").read_text().split() for pid in pids]
    return sum(int(fields[1]) for fields in statm) * os.sysconf("SC_PAGE_SIZE")


def children_of(pids: list[int]) -> list[int]:
    """The processes that these started."""
    tasks = [path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/children")]
    listed = [path.read_text().split() for path in tasks]
    return [int(pid) for found in listed for pid in found]


def warehouse(start: StartService, name: str, timeout_s: int) -> Guarded:
    """Start a warehouse that compacts nothing while it is attacked."""
    service = start(
        name=name,
        role="warehouse",
        compact_interval_s=3600,
        maintain_interval_s=3600,
        report_timeout_s=timeout_s,
        report_memory_bytes_max=MEMORY_BYTES_MAX,
    )
    service.wait_for_first_jobs()  # the attacks then find files that stay as they are
    return Guarded(service)


@pytest.fixture(scope="module")
def guarded(start_shared_service: StartService) -> Guarded:
    """One warehouse for all attempts."""
    return warehouse(start_shared_service, "guarded", TIMEOUT_S)


@pytest.fixture(scope="module")
def hasty(start_shared_service: StartService) -> Guarded:
    """Another for queries that would never end."""
    return warehouse(start_shared_service, "hasty", HASTY_TIMEOUT_S)


@pytest.mark.parametrize(("query", "says"), TRIED, ids=range(len(TRIED)))
def test_an_attempt_is_refused(guarded: Guarded, query: str, says: str) -> None:
    """With 422 and why; nothing changes."""
    reply = guarded.ask(query)
    assert reply.status in ((422,) if says else (422, 504)), reply
    assert says in reply.body["message"]
    guarded.require_unchanged()


@pytest.mark.parametrize("query", ENDLESS_TRIED, ids=range(len(ENDLESS_TRIED)))
def test_an_endless_query_ends(hasty: Guarded, query: str) -> None:
    """At the deadline, or where its memory ends."""
    assert hasty.ask(query).status in {422, 504}
    hasty.require_unchanged()


def test_the_warehouse_is_what_it_was(guarded: Guarded) -> None:
    """Its memory too: more answers that are larger than may be take no more; and it answers."""
    largest = "SELECT repeat('x', 6000) AS x FROM range(10000)"
    too_large = "SELECT repeat('x', 20000) AS x FROM range(10000)"
    assert guarded.ask(largest, limit=10_000).status == 200

    more_max = (MEMORY_KEPT_MAX - 1) * resident_bytes(guarded.pids)

    def is_flat() -> bool:
        before = resident_bytes(guarded.pids)
        statuses = {guarded.ask(too_large).status for _ in range(4)}
        assert statuses == {422}
        return resident_bytes(guarded.pids) <= before + more_max

    # The allocator may keep the room of a few, and a job of the warehouse may have begun meanwhile.
    eventually(is_flat, PATIENCE_S)
    assert guarded.ask("SELECT count(*) AS n FROM events").body["rows"] == [{"n": 0}]
    assert "Traceback" not in guarded.service.log()


def test_a_query_ends_with_its_client(guarded: Guarded) -> None:
    """Its process is killed long before the deadline."""
    address = urlsplit(guarded.service.reports_url)
    body = json.dumps({"sql": ENDLESS[0]}).encode()
    head = f"POST {SQL} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    waiting = children_of(guarded.pids)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode() + body)
        busy = eventually(lambda: busy_children(guarded.pids))
    eventually(lambda: not set(busy) & set(children_of(guarded.pids)), TIMEOUT_S / 2)
    assert len(children_of(guarded.pids)) <= max(1, len(waiting))


def busy_children(pids: list[int]) -> list[int]:
    """Children that were locked in: whose seccomp filter is on."""
    return [
        pid for pid in children_of(pids) if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
    ]


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (COPY (SELECT 1) TO '{data}/lake/x.csv') SELECT * FROM x",
        "COPY (SELECT 1) TO '{data}/lake/x.csv'",
        "SELECT * FROM read_text('{data}/tokens.json')",
        "SELECT * FROM '{data}/tokens.json'",
        "SELECT list_sum(range(3000000000))",
        "SELECT repeat('x', 100000000) FROM range(8)",
        "SELECT getenv('HOME')",
    ],
)
def test_the_command_refuses_alike(guarded: Guarded, query: str) -> None:
    """In one line, with exit code 2."""
    ended = guarded.service.command("sql", guarded.filled(query))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    guarded.require_unchanged()
