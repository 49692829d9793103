"""A shop's pages, on an origin of their own, and a browser's visits to them.

A page is what a test gives for a path; what is not given is not found. The collector is a real
`serve`; every test has a tenant of its own in it, so what was counted is all of the test's.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import traffic_tools
from http_tools import BATCH, INTERACTIONS, post
from playwright.sync_api import BrowserContext, Page, Request

TENANTS = range(1, 101)
TIMEOUT_S = 60.0
SETTINGS = {"segment_age_s": 0.1}
# The page stays when a link on it is clicked.
STAY = "<script>addEventListener('click', e => e.preventDefault());"
STAY += "addEventListener('auxclick', e => e.preventDefault())</script>"
GPC = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})"
TURN = "await new Promise(done => setTimeout(done))"


@dataclass(slots=True)
class Shop:
    """The shop's server: pages by path, each with its headers."""

    url: str = ""
    pages: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)

    def serve(self, path: str, html: str, **headers: str) -> str:
        """Put a page there; its URL. Headers are named with underscores."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.pages[path] = (f"<!doctype html><title>shop</title>{html}", named)
        return self.url + path


@contextmanager
def open_shop() -> Iterator[Shop]:
    """A shop on a port of its own."""
    shop = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            html, headers = shop.pages.get(self.path.partition("?")[0], ("", {}))
            body = html.encode()
            self.send_response(200 if html else 404)
            fixed = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))}
            for name, text in {**fixed, **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def import_tenants(data: Path) -> None:
    """Tenants of TENANTS, `shop-N`, each with the product 1000 + N."""
    rows = [f"{n},{uuid.uuid4()},shop-{n},Shop {n},active" for n in TENANTS]
    tenants, products = data.with_name("tenants.csv"), data.with_name("products.csv")
    tenants.write_text("\n".join(["id,uuid,slug,name,status", *rows, ""]))
    goods = [f"{1000 + n},{n},Miel,120.00" for n in TENANTS]
    products.write_text("\n".join(["id,tenant_id,name,price", *goods, ""]))
    traffic_tools.import_directory(tenants, products, data=data)


@dataclass(slots=True)
class Visit:
    """One tenant, one browser, and what the collector counted of them.

    `sent` has the events that the browser sent, by their ids.
    """

    tenant: int
    shop: Shop
    service: traffic_tools.Service
    context: BrowserContext
    errors: list[str] = field(default_factory=list)
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def note(request: Request) -> None:
            if request.url.endswith(BATCH):
                for line in (request.post_data or "").splitlines():
                    with suppress(ValueError):
                        event = json.loads(line)
                        self.sent[event["event_id"]] = event

        self.context.on("request", note)

    @property
    def product(self) -> int:
        """The tenant's one product."""
        return 1000 + self.tenant

    def script(self, attributes: str = "") -> str:
        """The one line a shop's page has."""
        return (
            f'<script defer src="{self.service.url}/beacon.js" data-tenant="{self.tenant}"'
            f' data-slug="shop-{self.tenant}" {attributes}></script>'
        )

    def serve(self, html: str = "", path: str = "/", **headers: str) -> str:
        """A page of the shop with the script in it; its URL."""
        return self.shop.serve(path, self.script() + html, **headers)

    def page(self) -> Page:
        """A new tab, whose errors are kept."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def open(self, html: str = "", path: str = "/", **headers: str) -> Page:
        """A new tab on such a page."""
        page = self.page()
        page.goto(self.serve(html, path, **headers))
        return page

    def events(self) -> list[dict[str, Any]]:
        """Return the events that can be seen so far, oldest first."""
        tenant, limit = str(self.tenant), "1000"
        rows = self.service.report("recent", tenant=tenant, limit=limit)["rows"]
        for row in rows:
            if isinstance(row["metadata"], str):
                row["metadata"] = json.loads(row["metadata"])
        return rows[::-1]

    def contexts(self, events: Iterable[dict[str, Any]]) -> list[tuple[str | None, ...]]:
        """The path, the query string and the referrer of each event, in the order they happened."""
        sent = sorted(
            (self.sent[row["event_id"]] for row in events), key=lambda event: event["timestamp"]
        )
        names = ("path", "query", "referrer")
        return [tuple(map(event["context"].get, names)) for event in sent]

    def types(self) -> list[str]:
        """The types of what was counted, sorted."""
        return sorted(row["type"] for row in self.events())

    def counted(self, *types: str) -> list[dict[str, Any]]:
        """Wait until just these were counted; then that an event sent after them is the only
        one more. The events, oldest first."""
        wanted = sorted(types)
        self.until(lambda: self.types() == wanted, lambda: f"{wanted}, but {self.types()}")
        last = {"tenant_id": self.tenant, "type": "maps_click", "event_id": str(uuid.uuid4())}
        assert post(self.service.url, INTERACTIONS, last).status == 201
        self.until(lambda: last["event_id"] in [row["event_id"] for row in self.events()])
        counted = [row for row in self.events() if row["event_id"] != last["event_id"]]
        assert sorted(row["type"] for row in counted) == wanted
        assert self.errors == []
        return counted

    def until(self, check: Callable[[], object], what: Callable[[], str] = str) -> None:
        """Poll, and let the browser's own events be handled meanwhile."""

        def checked() -> bool:
            for page in self.context.pages[:1]:
                page.wait_for_timeout(20)
            return bool(check())

        traffic_tools.eventually(checked, timeout_s=TIMEOUT_S, what=what())


def kept(page: Page) -> list[str]:
    """The keys of all the page's origin has in localStorage."""
    return page.evaluate("Object.keys(localStorage)")


def delivered(visit: Visit, page: Page) -> None:
    """Wait until nothing of the page is unsent."""
    visit.until(lambda: kept(page) == [], lambda: "all is delivered")
