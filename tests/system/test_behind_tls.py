"""The proxies of `deploy/`, as they are written there: over TLS, in front of a real service.

Only ports and the certificate's path differ from the files. Clients are told apart by the loopback
address that they connect from.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from harness import Service, eventually
from ports import free_ports
from proxies import PRIVATE, PROXIES, PUBLIC, certificate, connect_tls, run_proxy
from wire import BROWSER, INTERACTIONS, REPLY_TIMEOUT_S, TRACK, Reply, read_reply

if TYPE_CHECKING:
    from harness import StartService

CALL = {"tenant_id": 1, "type": "call"}
SIGN_IN = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{PRIVATE}"}
FORGED = ["X_Forwarded_For", "X_Real_IP", "Forwarded"]
BODY_TOO_LARGE_BYTES = 100_000  # over body_bytes_max, under the proxy's limit


@dataclass(frozen=True, slots=True)
class Edge:
    """A proxy that runs, and the service behind it."""

    service: Service
    tls_port: int
    plain_port: int
    certificate: Path

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        name: str = PUBLIC,
        address: str = "127.0.0.1",
    ) -> Reply:
        """One request over TLS to one of the names, from a loopback address."""
        raw = json.dumps(body) if isinstance(body, dict) else body
        sent = {"User-Agent": BROWSER, "Content-Type": "application/json", "Host": name}
        with closing(self.connect(name, address)) as connection:
            connection.request(method, path, raw, {**sent, **(headers or {})})  # type: ignore[arg-type]
            return read_reply(connection.getresponse())

    def connect(self, name: str, address: str) -> http.client.HTTPConnection:
        """A connection whose certificate was verified."""
        return connect_tls(self.tls_port, self.certificate, name, address)

    def track(self, address: str, **headers: str) -> Reply:
        """A call of la-colmena, taken or not."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.ask("POST", TRACK, CALL, named, address=address)


@pytest.fixture(scope="module", params=PROXIES)
def edge(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start_shared_service: StartService,
) -> Iterator[Edge]:
    """Two workers that throttle by address, and a proxy in front of both ports."""
    service = start_shared_service(
        name=request.param,
        workers=2,
        trusted_proxies="127.0.0.1",
        throttle_api="1/h burst 3",
        segment_age_s=0.05,
    )
    folder = tmp_path_factory.mktemp(request.param)
    made, key = certificate(folder)
    changes = {
        "/etc/ssl/beaconlog.crt": str(made),
        "/etc/ssl/beaconlog.key": str(key),
        "127.0.0.1:8080": urlsplit(service.url).netloc,
        "127.0.0.1:8081": urlsplit(service.reports_url).netloc,
    }
    tls, plain = free_ports(2)
    line = PROXIES[request.param](folder, changes, tls, plain)
    with run_proxy(line, folder, tls):
        yield Edge(service, tls, plain, made)


@pytest.fixture(scope="module")
def token(edge: Edge) -> str:
    """An administrator's; from then on the private port is closed to everybody else."""
    made = edge.service.command("token", "create", "--json")
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["token"])


def visitor(edge: Edge, reply: Reply) -> str:
    """Of the stored event of a reply."""

    def found() -> list[str]:
        lines = edge.service.sealed()
        return [one["visitor_id"] for one in lines if one["event_id"] == reply.body["event_id"]]

    return eventually(found)[0]


# -- who the client is ------------------------------------------------------------------------


@pytest.mark.usefixtures("one_day")
def test_a_client_keeps_its_own_address(edge: Edge) -> None:
    """One is over its limit, another is not; and they are two visitors."""
    one = [edge.track("127.0.1.1") for _ in range(4)]
    other = edge.track("127.0.1.2")
    assert [reply.status for reply in [*one, other]] == [202, 202, 202, 429, 202]
    assert visitor(edge, one[0]) == visitor(edge, one[1]) != visitor(edge, other)


@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize("header", FORGED)
def test_a_client_cannot_name_another_address(edge: Edge, header: str) -> None:
    """Neither for the throttle nor for its id."""
    address = f"127.0.2.{FORGED.index(header) + 1}"
    invented = [edge.track(address, **{header: f"203.0.113.{n}"}) for n in range(4)]
    assert [reply.status for reply in invented] == [202, 202, 202, 429]
    assert visitor(edge, invented[0]) == visitor(edge, invented[2])


def test_a_refusal_passes_through(edge: Edge) -> None:
    """Readable by a page, and saying when to come back."""
    refused = [edge.track("127.0.3.1", Origin="https://shop.example") for _ in range(4)][-1]
    assert (refused.status, refused.body["success"]) == (429, False)
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


# -- what is taken ----------------------------------------------------------------------------


def test_a_page_loads_the_script(edge: Edge) -> None:
    """From another site, and again by its ETag."""
    script = edge.ask("GET", "/beacon.js")
    assert (script.status, script.headers["Content-Type"]) == (
        200,
        "text/javascript; charset=utf-8",
    )
    assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    again = edge.ask("GET", "/beacon.js", headers={"If-None-Match": script.headers["ETag"]})
    assert again.status == 304


def test_a_body_over_the_limit_is_refused_in_json(edge: Edge) -> None:
    """By the service, as long as the proxy takes it; by the proxy beyond (Caddy says 502)."""
    body = b" " * BODY_TOO_LARGE_BYTES
    refused = edge.ask("POST", INTERACTIONS, body, address="127.0.4.1")
    assert (refused.status, refused.body["success"]) == (413, False)
    with suppress(ConnectionError):  # cut off while sending
        assert edge.ask("POST", INTERACTIONS, body * 20, address="127.0.4.1").status in (413, 502)


def test_a_flood_of_headers_is_refused(edge: Edge) -> None:
    """By the service past 8 KiB, by the proxy past its own limit."""
    for size in (9_000, 200_000):
        with suppress(ConnectionError, ssl.SSLError):
            flooded = edge.ask("GET", "/healthz", headers={"Cookie": "x" * size})
            assert flooded.status in (400, 431, 494)
    assert edge.ask("GET", "/healthz").status == 200


def test_http2_is_spoken_and_http3_not_announced(edge: Edge) -> None:
    """By curl; and that TLS was used is kept for a year."""
    url = f"https://{PUBLIC}:{edge.tls_port}/healthz"
    given = ["--cacert", str(edge.certificate), "--resolve", f"{PUBLIC}:{edge.tls_port}:127.0.0.1"]
    asked = ["curl", "-sS", "-D", "-", "--http2", *given, url]
    answered = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
    assert answered.startswith("HTTP/2 200")
    assert "alt-svc" not in answered.lower()
    assert "strict-transport-security: max-age=31536000" in answered.lower()


@pytest.mark.parametrize("name", [PUBLIC, PRIVATE])
def test_what_ails_the_service_is_told_to_nobody_outside(edge: Edge, name: str) -> None:
    """A stranger may know that it lives, not why it is not ready."""
    assert edge.ask("GET", "/healthz", name=name).status == 200
    assert edge.ask("GET", "/readyz", name=name).status == 404


def test_plain_http_is_sent_to_tls(edge: Edge) -> None:
    """Nothing is served without it."""
    connection = http.client.HTTPConnection("127.0.0.1", edge.plain_port, timeout=REPLY_TIMEOUT_S)
    with closing(connection):
        connection.request("GET", "/beacon.js", headers={"Host": PUBLIC})
        sent_on = read_reply(connection.getresponse())
    assert sent_on.status in (301, 308)
    target = urlsplit(sent_on.headers["Location"])
    assert (target.scheme, target.hostname, target.path) == ("https", PUBLIC, "/beacon.js")


def test_a_worker_that_drains_loses_no_event(edge: Edge) -> None:
    """While each worker in turn is replaced: every event is acked, and stored once."""
    stored_before = len(edge.service.sealed())

    def send(number: int) -> int:
        event = {**CALL, "type": "view", "event_id": str(uuid4())}
        client = f"127.9.{number // 200}.{number % 200 + 1}"
        return edge.ask("POST", INTERACTIONS, event, address=client).status

    with ThreadPoolExecutor(8) as clients:
        sending = clients.map(send, range(600))
        for pid in workers(edge.service):
            os.kill(pid, signal.SIGTERM)
            eventually(lambda pid=pid: pid not in edge.service.children())  # type: ignore[misc]
        statuses = list(sending)
    assert set(statuses) == {201}
    eventually(lambda: len(edge.service.sealed()) == stored_before + 600)


def workers(service: Service) -> list[int]:
    """The processes that collect, by what the supervisor logged."""
    return [int(pid) for pid in re.findall(r"started process=worker-\d+ pid=(\d+)", service.log())]


# -- the private port -------------------------------------------------------------------------


@pytest.mark.usefixtures("token")
def test_reports_ask_for_a_token(edge: Edge) -> None:
    """Whatever the request says of its Host or of who sent it on."""
    path = "/api/v1/reports/summary"
    local = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"}
    assert edge.ask("GET", path, name=PRIVATE).status == 401
    assert edge.ask("GET", path, headers=local, name=PRIVATE).status == 401
    assert edge.ask("GET", "/metrics", name=PRIVATE).status == 401


def test_a_token_opens_reports(edge: Edge, token: str) -> None:
    """And its answer is kept by nobody on the way."""
    shown = {"Authorization": f"Bearer {token}"}
    report = edge.ask("GET", "/api/v1/reports/summary", headers=shown, name=PRIVATE)
    assert report.status == 200
    assert "no-store" in report.headers["Cache-Control"]


def test_a_page_of_another_site_signs_nobody_in(edge: Edge, token: str) -> None:
    """By its Origin; the port's own page does."""
    form = urlencode({"token": token, "next": "/"})
    foreign = {**SIGN_IN, "Origin": "https://shop.example"}
    assert edge.ask("POST", "/signin", form, foreign, name=PRIVATE).status == 403
    assert edge.ask("POST", "/signin", form, SIGN_IN, name=PRIVATE).status == 303


def test_the_cookie_of_a_sign_in_goes_over_tls_alone(edge: Edge, token: str) -> None:
    """It opens reports, is no script's, no other site's, and not the token itself."""
    form = urlencode({"token": token, "next": "/"})
    signed_in = edge.ask("POST", "/signin", form, SIGN_IN, name=PRIVATE)
    cookie, *attributes = signed_in.headers["Set-Cookie"].split("; ")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert token not in cookie
    me = edge.ask("GET", "/api/v1/me", headers={"Cookie": cookie}, name=PRIVATE)
    assert me.body == {"tenant_id": None, "signed_in": True}


def test_another_name_reaches_nothing(edge: Edge) -> None:
    """Neither by TLS' server name nor by Host, so that none but ours reaches the service."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        edge.connect("evil.example", "127.0.0.1")
    for host in ("localhost", "evil.example", "127.0.0.1"):
        with suppress(http.client.HTTPException, ConnectionError, ssl.SSLError):
            reply = edge.ask("GET", "/api/v1/me", headers={"Host": host}, name=PRIVATE)
            assert reply.body is None, reply
