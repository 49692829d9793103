"""Each port serves its contract, for programs and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from harness import Service
from jsonschema import Draft202012Validator
from wire import CONVERSION, INTERACTIONS, TRACK, Reply

if TYPE_CHECKING:
    from harness import StartService


EVENTS = {
    TRACK: {"tenant_id": 1, "type": "call"},
    CONVERSION: {"tenant_slug": "la-colmena"},
    INTERACTIONS: {"tenant_id": 1, "type": "view"},
}


@pytest.fixture(scope="module", params=["fast", "tornado"])
def service(request: pytest.FixtureRequest, start_shared_service: StartService) -> Service:
    """One that asks for a token on its private port."""
    return start_shared_service(
        name=request.param, http_server=request.param, reports_token="a-token-of-the-tests"
    )


def test_a_port_serves_its_own_document(service: Service) -> None:
    """Without a token, as it says nothing of this service."""
    public = service.get("/openapi.json")
    private = service.get_private("/openapi.json")
    assert (public.status, private.status) == (200, 200)
    assert (public.body["openapi"], private.body["openapi"]) == ("3.1.0", "3.1.0")
    assert {TRACK, CONVERSION, INTERACTIONS, "/beacon.js"} <= set(public.body["paths"])
    assert {"/api/v1/reports/summary", "/api/v1/sql", "/metrics"} <= set(private.body["paths"])
    assert "/metrics" not in public.body["paths"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs.css"])
def test_it_is_found_again_by_its_tag(service: Service, path: str) -> None:
    """Nothing is sent twice, and HEAD sends no body."""
    for get in (service.get, service.get_private):
        first = get(path)
        again = get(path, {"If-None-Match": first.headers["etag"]})
        assert (first.status, again.status) == (200, 304)
    head = service.request("HEAD", path)
    assert (head.status, head.body) == (200, None)


def test_the_page_may_load_its_style_alone(service: Service) -> None:
    """No script, and nothing from another host."""
    for get in (service.get, service.get_private):
        page = get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'self';"
        )
        assert b"/docs.css" in page.body


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"throttle_api": "1/h burst 1", "throttle_address": "1/h burst 1"}, 429),
        ({"throttle_tenant_aware": "1/h burst 1", "throttle_api": "1/h burst 1"}, 429),
        ({"disk_free_bytes_min": "900000GiB"}, 503),
    ],
    ids=["address", "tenant", "disk"],
)
def test_a_refusal_is_as_documented(
    start_service: StartService, settings: dict[str, str], status: int
) -> None:
    """Where it takes more than a request to be refused: its headers and its body."""
    service = start_service(**settings)
    document = service.get("/openapi.json").body
    for path, event in EVENTS.items():
        service.post(path, event)
        refused = service.post(path, event)
        assert refused.status == status
        follows(document, path, refused)


def follows(document: Any, path: str, reply: Reply) -> None:
    """Fail unless the reply to a POST has the headers and the body that its document tells."""
    told = document["paths"][path]["post"]["responses"][str(reply.status)]
    for name, header in told["headers"].items():
        assert name in reply.headers or not header.get("required"), name
        if name in reply.headers and header["schema"]["type"] == "integer":
            assert int(reply.headers[name]) >= header["schema"]["minimum"]
    schema = told["content"]["application/json"]["schema"]
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole).validate(reply.body)
