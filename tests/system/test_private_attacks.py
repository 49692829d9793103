"""Attacks of strangers and shops on the private port: open redirects, and leaks of secrets."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest
from wire import REPLY_TIMEOUT_S

if TYPE_CHECKING:
    from harness import Service, StartService

TOKEN = "a-token-of-the-tests"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "/\r\nLocation: https://evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    " //evil.example/",
    "",
]


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    """One that has an administrator's token in its settings, and a shop's."""
    service = start_shared_service(reports_token=TOKEN, compact_interval_s=3600)
    service.wait_for_first_jobs()  # its files then stay as they are
    return service


@pytest.fixture(scope="module")
def shop_token(service: Service) -> str:
    """La Colmena's."""
    made = service.command("token", "create", "--tenant", "la-colmena", "--json")
    return str(json.loads(made.stdout)["token"])


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_leads_to_this_port_alone(service: Service, target: str) -> None:
    """Whatever the link said that a person came by."""
    form = urlencode({"token": TOKEN, "next": target})
    reply = service.request("POST", "/signin", form, FORM, base=service.reports_url)
    assert (reply.status, reply.headers.get_all("Location")) == (303, ["/"])
    assert "evil" not in str(reply.headers)


def test_a_page_that_asked_for_a_sign_in_is_come_back_to(service: Service) -> None:
    """With its query."""
    form = urlencode({"token": TOKEN, "next": "/?tenant=1&period=today"})
    reply = service.request("POST", "/signin", form, FORM, base=service.reports_url)
    assert reply.headers["Location"] == "/?tenant=1&period=today"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_closes_says_so(service: Service, method: str) -> None:
    """A 401 is sent before the body is read; else a client would send its next request in vain."""
    target = urlsplit(service.reports_url)
    with closing(HTTPConnection(target.netloc, timeout=REPLY_TIMEOUT_S)) as connection:
        connection.request(method, "/api/v1/sql", b"{}" if method == "POST" else None)
        response = connection.getresponse()
        response.read()
        assert (response.status, response.getheader("Connection")) == (401, "close")


def test_a_token_is_in_no_log_no_metric_and_no_argument(service: Service, shop_token: str) -> None:
    """Neither the settings' nor one that was made, whether it is right or wrong."""
    wrong = "a-wrong-token-of-the-tests"
    for shown in (TOKEN, shop_token, wrong):
        form = urlencode({"token": shown})
        service.request("POST", "/signin", form, FORM, base=service.reports_url)
        service.get_private("/api/v1/reports", {"Authorization": f"Bearer {shown}"})
    metrics = service.get_private("/metrics", {"Authorization": f"Bearer {TOKEN}"})
    arguments = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in service.children()]
    kept = [path.read_bytes() for path in service.data.rglob("*") if path.is_file()]
    told = [service.log().encode(), bytes(metrics.body), *arguments, *kept]
    for secret in (TOKEN, shop_token, wrong):
        assert [one for one in told if secret.encode() in one] == []


def test_a_failure_tells_a_shop_nothing_of_this_machine(start_service: StartService) -> None:
    """No path; an administrator and the log are told."""
    service = start_service(reports_token=TOKEN, compact_interval_s=3600)
    service.wait_for_first_jobs()
    made = service.command("token", "create", "--tenant", "la-colmena", "--json")
    shop, admin = json.loads(made.stdout)["token"], TOKEN
    events = service.data / "lake/events/_delta_log"
    shutil.rmtree(events, ignore_errors=True)
    events.mkdir(parents=True)
    for number in range(2):
        (events / f"{number:020d}.json").write_text("{")
    for path in ("/api/v1/reports/summary", "/api/v1/export/events"):
        told, explained = (
            service.get_private(path, {"Authorization": f"Bearer {token}"})
            for token in (shop, admin)
        )
        assert (told.status, explained.status) == (503, 503)
        assert told.body["message"] == "This cannot be answered now; the service's log says why."
        assert str(service.data) in explained.body["message"]
    assert str(service.data / "lake/events") in service.log()
