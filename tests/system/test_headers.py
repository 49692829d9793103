"""The headers of every response of the private port, whatever the route and the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Service, StartService

TOKEN = "a-token-of-the-tests"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
REQUESTS = [
    ("GET", "/", 200),
    ("GET", "/signin", 200),
    ("POST", "/signin", 401),
    ("POST", "/signout", 303),
    ("GET", "/api/v1/me", 200),
    ("GET", "/api/v1/reports", 200),
    ("GET", "/api/v1/reports/summary", 200),
    ("GET", "/api/v1/reports/summary?format=csv", 200),
    ("GET", "/api/v1/reports/summary?from=yesterday", 422),
    ("GET", "/api/v1/reports/no-such-report", 404),
    ("GET", "/api/v1/export/events", 200),
    ("POST", "/api/v1/sql", 422),
    ("GET", "/metrics", 200),
    ("DELETE", "/metrics", 405),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/no-such-route", 404),
    ("GET", "/assets/app.js", 200),
    ("GET", "/assets/0123456789abcdef/app.js", 200),
    ("GET", "/assets/no.js", 404),
    ("GET", "/docs", 200),
    ("GET", "/openapi.json", 200),
]
KEPT_BY_ETAG = {
    "/assets/app.js",
    "/assets/0123456789abcdef/app.js",
    "/docs",
    "/openapi.json",
}
"""The same for everybody; a browser may keep them, and asks each time."""


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    """One that asks for a token."""
    return start_shared_service(role="warehouse", reports_token=TOKEN)


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS, ids=str)
def test_no_other_site_uses_it_and_nobody_keeps_it(
    service: Service, method: str, path: str, status: int
) -> None:
    """No other site frames, embeds or reads it, and no cache keeps what is private."""
    body = "" if method == "POST" else None
    reply = service.request(method, path, body, SHOWN, base=service.reports_url)
    assert reply.status == status
    headers = reply.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == ("no-cache" if path in KEPT_BY_ETAG else "no-store")
    assert headers["Access-Control-Allow-Origin"] is None
    assert headers["Server"] is None


@pytest.mark.parametrize("path", ["/", "/api/v1/reports/summary", "/metrics"])
def test_a_refusal_is_kept_by_nobody(service: Service, path: str) -> None:
    """Or a cache would show it to who has signed in."""
    reply = service.get_private(path)
    assert reply.status in (303, 401)
    assert reply.headers["Cache-Control"] == "no-store"
