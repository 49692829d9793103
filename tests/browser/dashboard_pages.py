"""Read the dashboard's pages in a browser, and send events to the service behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import traffic_tools as tools
from axe_playwright_python.sync_playwright import Axe
from http_tools import request
from ledger import reports_url
from playwright.sync_api import Locator, Page


def _zone() -> str:
    """The zone whose midnight is farther away, so that no day ends while the tests run."""

    def hours_to_midnight(zone: str) -> int:
        hour = datetime.now(ZoneInfo(zone)).hour
        return min(hour, 23 - hour)

    return max(("America/Tegucigalpa", "Asia/Tokyo"), key=hours_to_midnight)


ZONE = _zone()
"""The zone of the shops and of the browser."""
PLACE = ZONE.rpartition("/")[2]
TENANT_COLUMNS = "id,uuid,slug,name,status,timezone"
TENANTS = f"""{TENANT_COLUMNS}
1,00000000-0000-0000-0000-000000000001,la-colmena,La Colmena,active,{ZONE}
2,00000000-0000-0000-0000-000000000002,taller,Taller,active,{ZONE}
3,00000000-0000-0000-0000-000000000003,el-sol,Panadería El Sol,active,{ZONE}
4,00000000-0000-0000-0000-000000000004,dos-dias,Dos Días,active,{ZONE}
"""
PRODUCTS = "id,tenant_id,name,price\n101,1,Miel de abeja,280\n301,3,Pan de yema,15\n"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
"""The user agent of a browser on a phone."""
PATIENCE_MS = 60_000
WIDTHS = (1280, 360)
TARGET_PX = 44
"""The least width and height of what a finger touches."""
_SMALL_TARGETS = """(least) => [...document.querySelectorAll("a, button, select, input, summary")]
  .filter((node) => node.checkVisibility() && !node.matches(".skip"))
  .map((node) => [node, (node.closest(".check") ?? node).getBoundingClientRect()])
  .filter(([, { width, height }]) => Math.min(width, height) < least - 0.1)
  .map(([node, { width, height }]) => `${node.outerHTML}: ${width} x ${height}`)"""


class Shop:
    """A running service with some events, and the address of its pages."""

    def __init__(self, service: tools.Service, data: Path) -> None:
        self.service = service
        self.data = data
        self.url = reports_url(service)

    def send(self, path: str, agent: str = "", address: str = "", **body: object) -> None:
        headers = {"X-Forwarded-For": address} | ({"User-Agent": agent} if agent else {})
        answer = request(self.service.url, "POST", path, json.dumps(body).encode(), headers)
        assert answer.status in (200, 201, 202, 404, 422), answer

    def report(self, name: str, **parameters: str) -> list[dict[str, object]]:
        query = "&".join(f"{key}={text}" for key, text in parameters.items())
        answer = request(self.url, "GET", f"/api/v1/reports/{name}?{query}")
        rows: list[dict[str, object]] = answer.body["rows"]
        return rows


def opened(page: Page, url: str) -> None:
    """Load a page and wait until its numbers are there."""
    page.goto(url)
    page.wait_for_selector("#view:not([aria-busy])")


def card(page: Page, name: str) -> str:
    """The number of a card, with a space where a line or the money's own space is."""
    number = page.locator(".card", has_text=name).locator(".number")
    return " ".join(number.inner_text().split())


def rows_of(page: Page, title: str) -> list[list[str]]:
    """The rows of a panel's table."""
    panel = page.locator("section", has=page.get_by_role("heading", name=title, exact=True))
    return [
        [" ".join(cell.split()) for cell in row.locator("td").all_inner_texts()]
        for row in panel.locator("tbody tr").all()
    ]


def assert_good(page: Page) -> None:
    """The page does not scroll sideways, fingers meet what they touch, axe finds no violation."""
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide == 0
    if page.evaluate("innerWidth") == min(WIDTHS):
        assert page.evaluate(_SMALL_TARGETS, TARGET_PX) == []
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def _plain(texts: Sequence[str]) -> list[str]:
    """The texts with a space where the money's own space is."""
    return [" ".join(text.split()) for text in texts]


def chart_of(page: Page, metric: str) -> Locator:
    return page.get_by_role("img", name=f"{metric} over time:")


def axis(page: Page, kind: str) -> list[str]:
    """The labels of an axis of the chart over time, in order."""
    return _plain(page.locator(f"svg.lines text.{kind}").all_text_contents())


def readout(page: Page) -> list[str]:
    """The parts of the line above the chart."""
    return _plain(page.locator(".readout .swatch").all_inner_texts())


def line(page: Page, kind: str) -> list[tuple[float, float]]:
    """The points of a line of the chart over time, `now` or `before`, from left to right."""
    path = page.locator(f"svg.lines path.{kind}").get_attribute("d") or ""
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([0-9.]+),([0-9.]+)", path)]


def route_rows(page: Page, report: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Answer the page's questions for a report with these rows."""
    body = json.dumps({"rows": rows, "parameters": {}})
    page.route(f"**/api/v1/reports/{report}?*", lambda route: route.fulfill(body=body))


_COUNTS = "visitors views entries exits transactions purchases carts"
_TOUCHES = ("first", "last", "linked")
_AMOUNTS = ("value", "revenue", *(f"{touch}_value" for touch in _TOUCHES))
_NUMBERS: Mapping[str, object] = {
    **dict.fromkeys((*_COUNTS.split(), *(f"{touch}_transactions" for touch in _TOUCHES)), 1234),
    **dict.fromkeys(_AMOUNTS, "12345.6700"),
}
_COUNTRIES = ("HN", "GS", "VC", "BA", "CF", "CD", "KN", "TF")
_DIMENSIONS = {
    "channels": "channel",
    "sources": "source",
    "top-products": "name",
    "campaigns": "utm_campaign",
    "pages": "path",
    "devices": "device",
    "browsers": "browser",
    "abandoned-carts": "name",
    "attribution": "key",
}


def route_lists(page: Page, names: Sequence[str]) -> None:
    """Answer for each list with a row per name, of countries with eight, of goals too."""
    campaign = {"utm_source": "instagram", "utm_medium": "social", "currency": "HNL"}
    for report, dimension in _DIMENSIONS.items():
        rows = [
            {**_NUMBERS, **campaign, dimension: name, "product_id": number}
            for number, name in enumerate(names)
        ]
        route_rows(page, report, rows)
    route_rows(page, "countries", [{**_NUMBERS, "country": code} for code in _COUNTRIES])
    goals = json.dumps({"goals": [{"tenant_id": 1, "name": name} for name in names]})
    page.route("**/api/v1/goals", lambda route: route.fulfill(body=goals))
    reached = json.dumps({"rows": [{**_NUMBERS, "events": 1234}], "parameters": {}})
    page.route("**/api/v1/reports/*&goal=*", lambda route: route.fulfill(body=reached))
