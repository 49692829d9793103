"""A running service with four shops, and tabs on its pages. A tab's errors fail the test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import mmdb
import pytest
import traffic_tools as tools
from dashboard_pages import PATIENCE_MS, PRODUCTS, TENANTS, WIDTHS, ZONE, Shop
from http_tools import CONVERSION, INTERACTIONS
from playwright.sync_api import Browser, Page, ViewportSize, expect

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four shops."""
    folder = tmp_path_factory.mktemp("dashboard")
    for name, text in (("tenants.csv", TENANTS), ("products.csv", PRODUCTS)):
        (folder / name).write_text(text)
    tools.import_directory(folder / "tenants.csv", folder / "products.csv", data=folder / "data")
    return folder / "data"


@pytest.fixture(scope="module")
def shop(data: Path) -> Iterator[Shop]:
    """A service with 30 views, 5 clicks, 2 sales, one of them sent twice, and a payload for a
    product that the shop does not have. The addresses 203.0.113.0/24 are in Honduras."""
    database = mmdb.write(data.with_name("countries.mmdb"), {"203.0.113.0/24": "HN"})
    settings = {"segment_age_s": 0.2, "country_database": database}
    with tools.running("serve", data, **settings) as service:
        shop = Shop(service, data)
        for _ in range(30):
            shop.send(INTERACTIONS, tenant_id=1, type="view", product_id=101)
        for _ in range(5):
            shop.send(INTERACTIONS, tenant_id=1, type="whatsapp_click")
        for number in (0, 1, 1):
            sale = {"transaction_id": f"T-{number}", "value": 280, "product_id": 101}
            shop.send(CONVERSION, tenant_slug="la-colmena", **sale)
        shop.send("/api/v1/analytics/track", tenant_id="1", type="cart_add", product_id=999)
        shop.send(INTERACTIONS, tenant_id=2, type="view")
        tools.eventually(
            lambda: sum(int(str(row["events"])) for row in shop.report("summary")) == 38,
            timeout_s=60,
            what="every event is in the reports",
        )
        yield shop


@pytest.fixture(scope="module")
def two_days(shop: Shop) -> Shop:
    """The shop dos-dias with sales of 100 at yesterday's start, 900 at its end, and 200 now."""
    midnight = datetime.now(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    sales = (
        (100, (midnight - timedelta(days=1)).isoformat()),
        (900, (midnight - timedelta(seconds=1)).isoformat()),
        (200, None),
    )
    for value, at in sales:
        sale = {"transaction_id": f"D-{value}", "value": value, "timestamp": at}
        sent = {name: value for name, value in sale.items() if value is not None}
        shop.send(CONVERSION, tenant_slug="dos-dias", **sent)
    tools.eventually(
        lambda: (
            shop.report("revenue", tenant="4", tz=ZONE)
            == [{"currency": "HNL", "transactions": 3, "value": 1200}]
        ),
        timeout_s=60,
        what="every sale is in the reports",
    )
    return shop


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A tab, on a screen and on a phone; errors and foreign requests fail the test."""
    yield from _tab(browser, request.param)


@pytest.fixture
def wide(browser: Browser) -> Iterator[Page]:
    """A tab on a screen, for tests of what does not depend on the width."""
    yield from _tab(browser, WIDTHS[0])


def _tab(browser: Browser, width: int) -> Iterator[Page]:
    viewport = ViewportSize(width=width, height=800)
    context = browser.new_context(viewport=viewport, timezone_id=ZONE)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.on("request", lambda sent: None if _is_own(sent.url) else wrong.append(sent.url))
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()
    assert wrong == []


def _is_own(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost") or url.startswith("data:")
