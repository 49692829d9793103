"""Two collectors behind `deploy/haproxy`, restarted in turn while events come in."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from harness import REPOSITORY, Service, eventually
from http2_client import ConnectionEnded, Http2Client
from ports import free_ports
from proxies import PUBLIC, certificate, connect_tls, replaced, run_proxy, tls_socket
from wire import BROWSER, INTERACTIONS, read_reply

if TYPE_CHECKING:
    from harness import StartService

PATIENCE_S = 60.0
CLIENTS = tuple(f"127.0.0.{number}" for number in range(1, 9))
"""Addresses, by which the balancer chooses a machine."""
KEPT_OPEN = "127.0.0.9"
"""That of a client which keeps its connection to the balancer over both restarts."""
EVENTS_AFTER_A_RESTART = 40


@dataclass(slots=True)
class Sent:
    """The ids that one client sent, by the status of the response."""

    address: str
    accepted: list[str]
    failed: list[object]


def test_a_rolling_restart_fails_no_request(start_service: StartService, tmp_path: Path) -> None:
    """Every event is acknowledged, and on one of the two machines once."""
    machines = [start_machine(start_service, name) for name in ("one", "two")]
    made, _ = certificate(tmp_path)
    tls, plain = free_ports(2)
    line = ["haproxy", "-db", "-f", str(configuration(tmp_path, machines, tls, plain))]
    enough = Event()
    with run_proxy(line, tmp_path, tls), ThreadPoolExecutor(len(CLIENTS) + 1) as pool:
        sent = [Sent(address, [], []) for address in (*CLIENTS, KEPT_OPEN)]
        clients = [pool.submit(send_until, enough, tls, made, each) for each in sent[:-1]]
        clients.append(pool.submit(send_on_one_connection, enough, tls, made, sent[-1]))
        try:
            eventually(lambda: all(machine.sealed() for machine in machines), PATIENCE_S)
            for machine in machines:
                restart(machine)
                wait_for_more(sent)
        finally:
            enough.set()
        for client in clients:
            client.result(PATIENCE_S)
    assert [each.failed for each in sent] == [[]] * len(sent)
    for machine in machines:
        assert machine.stop() == 0, machine.log()
    stored = [record["event_id"] for machine in machines for record in machine.sealed()]
    assert sorted(stored) == sorted(id_ for each in sent for id_ in each.accepted)


def start_machine(start_service: StartService, name: str) -> Service:
    """A collector with a folder and a port of its own, which stays when it is restarted."""
    [port] = free_ports(1)
    return start_service(
        name=name,
        role="collect",
        port=port,
        trusted_proxies="127.0.0.1",
        throttle_address="off",
        throttle_tenant_aware="off",
        drain_delay_s=5,
    )


def configuration(folder: Path, machines: list[Service], tls: int, plain: int) -> Path:
    """The file of `deploy/haproxy` for these machines, with ten times as many checks."""
    one, two = (urlsplit(machine.url).netloc for machine in machines)
    text = (REPOSITORY / "deploy/haproxy/haproxy.cfg").read_text()
    changes = {
        "10.83.0.11:8080": one,
        "10.83.0.12:8080": two,
        "inter 1s": "inter 100ms",
        "/etc/ssl/beaconlog.crt": str(folder / "beaconlog.crt"),
        "bind :443": f"bind 127.0.0.1:{tls}",
        "bind :80": f"bind 127.0.0.1:{plain}",
    }
    path = folder / "haproxy.cfg"
    path.write_text(replaced(text, changes))
    return path


def restart(machine: Service) -> None:
    """As an operator does: stop it, start it, and wait until it is ready."""
    assert machine.stop() == 0, machine.log()
    machine.start()
    eventually(lambda: machine.get("/readyz").status == 200, PATIENCE_S)


def wait_for_more(sent: list[Sent]) -> None:
    """Until each client has sent further events, or one has failed."""
    goals = [len(each.accepted) + EVENTS_AFTER_A_RESTART for each in sent]

    def have_sent() -> bool:
        reached = all(len(each.accepted) >= goal for each, goal in zip(sent, goals, strict=True))
        return reached or any(each.failed for each in sent)

    eventually(have_sent, PATIENCE_S)


def send_until(enough: Event, port: int, made: Path, sent: Sent) -> None:
    """Send events, one per connection, until it is enough."""
    while not enough.is_set():
        event_id, body = event()
        with closing(connect_tls(port, made, address=sent.address)) as connection:
            connection.request("POST", INTERACTIONS, body, HEADERS)
            reply = read_reply(connection.getresponse())
        if reply.status == 201:
            sent.accepted.append(event_id)
        else:
            sent.failed.append(reply)


def send_on_one_connection(enough: Event, port: int, made: Path, sent: Sent) -> None:
    """Send events by HTTP/2, as browsers do, until it is enough or the connection is ended.

    By HTTP/1.1 the balancer keeps no connection.
    """
    with closing(tls_socket(port, made, PUBLIC, sent.address, ["h2"])) as sock:
        client = Http2Client(sock)
        while not enough.is_set() and not sent.failed:
            event_id, body = event()
            try:
                answer = client.post(INTERACTIONS, body, HEADERS)
            except (ConnectionEnded, OSError) as error:
                sent.failed.append(error)
            else:
                is_stored = json.loads(answer) == {"status": "success"}
                (sent.accepted if is_stored else sent.failed).append(event_id)


def event() -> tuple[str, bytes]:
    """An event's id, and its body."""
    event_id = str(uuid4())
    return event_id, json.dumps({"tenant_id": 1, "type": "view", "event_id": event_id}).encode()


HEADERS = {"host": PUBLIC, "user-agent": BROWSER, "content-type": "application/json"}
