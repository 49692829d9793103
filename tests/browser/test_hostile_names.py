"""Text that strangers and shops choose is text on the pages, whatever it looks like."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
import traffic_tools as tools
from http_tools import CONVERSION, INTERACTIONS, TRACK, post
from ledger import reports_url
from playwright.sync_api import Browser, expect

MARKUP = "\"'><img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
PATIENCE_MS = 60_000


def csv_text(*rows: tuple[object, ...]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The private port of a service in which every text that anybody chooses is markup."""
    folder = tmp_path_factory.mktemp("markup")
    uuid = "00000000-0000-0000-0000-000000000001"
    tenants = ("id", "uuid", "slug", "name", "status"), (1, uuid, "shop", MARKUP, "active")
    products = ("id", "tenant_id", "name", "price"), (101, 1, MARKUP, "280")
    (folder / "tenants.csv").write_text(csv_text(*tenants))
    (folder / "products.csv").write_text(csv_text(*products))
    tools.import_directory(folder / "tenants.csv", folder / "products.csv", data=folder / "data")
    with tools.running("serve", folder / "data", segment_age_s=0.1) as service:
        metadata = {"source": MARKUP, "utm_source": MARKUP, "referrer": MARKUP, MARKUP: MARKUP}
        view = {"tenant_id": 1, "type": "view", "product_id": 101, "metadata": metadata}
        sale = {"tenant_slug": "shop", "transaction_id": MARKUP, "value": 5, "metadata": metadata}
        refused = {"tenant_id": 1, "type": MARKUP}
        for path, body in ((INTERACTIONS, view), (CONVERSION, sale), (TRACK, refused)):
            assert post(service.url, path, body).status in (200, 201, 422)
        yield reports_url(service)


@pytest.mark.parametrize(
    "path",
    ["/", "/?shop=1&period=today", f"/?shop={MARKUP}", f"/?shop=1&period=today&source={MARKUP}"],
)
def test_markup_is_shown_and_does_nothing(browser: Browser, pages: str, path: str) -> None:
    """No element comes of it, and no script of it runs, on a page that allows its own alone."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(pages + path)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle")
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    assert page.evaluate("[...document.scripts].filter(one => !one.src).length") == 0
    assert [text for text in refused if "Content Security Policy" in text] == []
    page.close()


def test_it_is_shown_as_it_was_written(browser: Browser, pages: str) -> None:
    """So the pages above did have it to show."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{pages}/?shop=1&period=today")
    expect(page.get_by_text("<img src=x").first).to_be_visible(timeout=PATIENCE_MS)
    page.close()
