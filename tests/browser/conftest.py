"""A real Chromium for the tests of what people see. Where it is missing they fail.

A test of the tracker has a `visit`: one browser on the pages of a shop, and a collector.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import traffic_tools
from http_tools import BROWSER
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from shop import SETTINGS, TIMEOUT_S, Shop, Visit, import_tenants, open_shop

START_TIMEOUT_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module, with which its event loop ends; each has its own context."""
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=START_TIMEOUT_MS
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as opened:
        yield opened


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker") / "data"
    import_tenants(folder)
    return folder


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[traffic_tools.Service]:
    with traffic_tools.running("serve", data, **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def tenants() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(user_agent=BROWSER)
    context.set_default_timeout(TIMEOUT_S * 1000)
    yield context
    context.close()


@pytest.fixture
def visit(
    tenants: Iterator[int], shop: Shop, service: traffic_tools.Service, context: BrowserContext
) -> Visit:
    """A tenant that no other test has, and a browser that knows nothing."""
    return Visit(next(tenants), shop, service, context)
