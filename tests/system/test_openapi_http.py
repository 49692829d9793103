"""Each port serves its contract, for programs and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness import Service
from wire import CONVERSION, INTERACTIONS, TRACK

if TYPE_CHECKING:
    from conftest import StartService


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
