"""Limits over several machines: collectors with folders of their own, and one Valkey server."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Service, eventually
from http_tools import TRACK
from proxies import certificate
from tls_front import tls_front
from valkey_process import ValkeyProcess

if TYPE_CHECKING:
    from harness import StartService

CALL = {"tenant_id": "1", "type": "call"}
DEADLINE_S = 60.0
SETTINGS = {"role": "collect", "throttle_api": "1/h burst 2", "trusted_proxies": "127.0.0.1"}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server of the test's own."""
    process = ValkeyProcess(tmp_path, requirepass="s3cr3t")
    try:
        yield process.start()
    finally:
        process.kill()


@pytest.fixture
def front(valkey: ValkeyProcess, tmp_path: Path) -> Iterator[int]:
    """The server's port with TLS."""
    with tls_front(*certificate(tmp_path, "IP:127.0.0.1"), valkey.socket) as port:
        yield port


def test_machines_share_their_limits_while_the_server_decides(
    start_service: StartService, valkey: ValkeyProcess, front: int, tmp_path: Path
) -> None:
    """Without it each goes on, ready, with its share; they come back by themselves."""
    tls = f"rediss://:s3cr3t@127.0.0.1:{front}?ssl_ca_certs={tmp_path}/beaconlog.crt"
    plain = f"unix://:s3cr3t@{valkey.socket}"
    one = start_service(name="one", throttle_url=plain, http_server="fast", **SETTINGS)
    other = start_service(name="other", throttle_url=tls, http_server="tornado", **SETTINGS)
    machines = one, other
    clients = (f"198.51.100.{number}" for number in itertools.count(1))
    eventually(lambda: shares(one, other, next(clients)), DEADLINE_S)
    known = registrations(valkey) + 2 * len(machines)
    eventually(lambda: registrations(valkey) >= known, DEADLINE_S)  # each knows of the other
    valkey.kill()
    for machine in machines:
        eventually(lambda: degraded(machine), DEADLINE_S)  # noqa: B023
        client = next(clients)
        assert [sent(machine, client) for _ in range(2)] == [202, 429]
    valkey.start()
    for machine in machines:
        eventually(lambda: not degraded(machine), DEADLINE_S)  # noqa: B023
    eventually(lambda: shares(other, one, next(clients)), DEADLINE_S)
    log = one.log() + other.log()
    assert log.count("the throttle's server does not decide") >= 2
    assert log.count("the throttle's server decides again") >= 2
    assert "s3cr3t" not in log


def registrations(valkey: ValkeyProcess) -> int:
    """How often machines have registered: each of them does so once per second."""
    calls = re.search(rb"cmdstat_eval:calls=(\d+)", valkey.command("INFO", "commandstats"))
    assert calls
    return int(calls[1])


def sent(machine: Service, client: str) -> int:
    return machine.post(TRACK, CALL, {"X-Forwarded-For": client}).status


def shares(one: Service, other: Service, client: str) -> bool:
    """Whether a client that has used up its burst at one machine has none left at the other.

    On a busy machine, a decision may take too long, and is one of the machine itself then.
    """
    return [sent(one, client), sent(one, client), sent(other, client)] == [202, 202, 429]


def degraded(machine: Service) -> object:
    ready = machine.get("/readyz")
    assert ready.status == 200
    return ready.body.get("degraded")


def test_a_bad_url_stops_the_start(tmp_path: Path) -> None:
    """One line that names the setting, without its value; exit code 2."""
    url = "redis://:s3cr3t@cache?wait=s3cr3t"
    done = Service(tmp_path / "data", throttle_url=url).command("collect")
    assert done.returncode == 2
    assert "throttle_url" in done.stderr
    assert "s3cr3t" not in done.stderr
    assert done.stderr.count("\n") == 1
