"""Loading a page: at once, again after a failure, and not after the reader has left it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import traffic_tools as tools
from dashboard_pages import PATIENCE_MS, PLACE, Shop, opened
from http_tools import INTERACTIONS, request
from playwright.sync_api import Browser, Page, Route, expect

OPEN_QUESTIONS = """
  let open = 0;
  globalThis.mostOpen = 0;
  const ask = fetch;
  globalThis.fetch = async (url, options) => {
    if (!url.includes("&goal=")) return ask(url, options);
    mostOpen = Math.max(mostOpen, ++open);
    return ask(url, options).finally(() => --open);
  };
"""
"""Counts how many questions about goals are open at once."""


def test_the_page_is_there_at_once(browser: Browser, shop: Shop) -> None:
    """The page is small, and a browser keeps its files until they change."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?shop=la-colmena")
    loaded = page.evaluate(
        "performance.getEntries().map((file) => [file.name, file.decodedBodySize ?? 0])"
    )
    sizes = {name: size for name, size in loaded if size and "/api/" not in name}
    scripts = {name.rpartition("/")[2] for name in sizes if name.endswith(".js")}
    assert scripts == {"page.js", "strings.en.js"}
    assert sum(sizes.values()) < 120 << 10
    assert page.evaluate("document.styleSheets.length") == 1  # the policy allows it
    address = next(name for name in sizes if name.endswith("/page.js"))
    page.close()
    kept = request(shop.url, "GET", address.removeprefix(shop.url))
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    asset = request(shop.url, "GET", "/assets/page.js")
    assert (asset.body, asset.headers["cache-control"]) == (kept.body, "no-cache")
    again = request(
        shop.url, "GET", "/assets/page.js", headers={"If-None-Match": asset.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("address", ["/?shop=la-colmena", "/"])
def test_the_first_questions_are_asked_once(wide: Page, shop: Shop, address: str) -> None:
    """By the page itself, before its script is there; the script uses the answers."""
    asked: list[str] = []
    wide.on("request", lambda sent: asked.append(urlsplit(sent.url).path))
    opened(wide, f"{shop.url}{address}")
    expect(wide.locator(".card").first).to_be_visible()
    first = ["/api/v1/me", "/api/v1/reports", "/api/v1/reports/shops"]
    assert [asked.count(path) for path in first] == [1, 1, 1]


def test_a_failure_is_shown_and_can_be_tried_again(browser: Browser, shop: Shop) -> None:
    """With a reason and a button."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route(
        "**/api/v1/reports/**",
        lambda route: route.fulfill(status=503, body='{"message": "Too many reports are waiting"}'),
    )
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(page.get_by_role("alert")).to_contain_text("Too many questions are waiting")
    page.unroute("**/api/v1/reports/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()
    page.close()


def test_a_page_recovers_by_itself(browser: Browser, shop: Shop) -> None:
    """A first load that failed: with the next event the numbers come, and the message goes."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wanted = re.compile(r"/api/v1/reports/(?!recent|shops)")
    page.route(wanted, lambda route: route.fulfill(status=503, body="{}"))
    opened(page, f"{shop.url}/?shop=taller")
    expect(page.get_by_role("alert")).to_contain_text("Too many questions are waiting")
    expect(page.locator(".card")).to_have_count(0)
    page.unroute(wanted)

    def is_recovered() -> bool:
        shop.send(INTERACTIONS, tenant_id=2, type="view")
        return page.locator(".card").count() > 0

    tools.eventually(is_recovered, timeout_s=60, what="the numbers are there")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_a_page_that_was_left_ends_its_requests(browser: Browser, shop: Shop) -> None:
    """A report that is still awaited is neither drawn nor a failure."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route("**/api/v1/reports/summary?tenant=1&**", lambda route: None)
    with page.expect_request(lambda sent: "summary?tenant=1&" in sent.url):
        page.goto(f"{shop.url}/?shop=la-colmena")
    with page.expect_event("requestfailed", lambda sent: "summary?tenant=1&" in sent.url):
        page.get_by_role("link", name="All shops").click()
    expect(page.get_by_role("link", name="La Colmena")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_a_shop_that_answers_late_changes_no_newer_page(wide: Page, shop: Shop) -> None:
    """The page that the reader went back to keeps its header."""
    page = wide
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/shops\?tenant=la-colmena&"), hold)
    opened(page, shop.url)
    with page.expect_request(lambda sent: "shops?tenant=la-colmena&" in sent.url):
        page.get_by_role("link", name="La Colmena").click()
    page.go_back()
    page.wait_for_selector("#view:not([aria-busy])")
    with page.expect_response(lambda got: "shops?tenant=la-colmena&" in got.url) as late:
        held[0].continue_()
    late.value.finished()
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(page.locator("#zone")).to_have_text(f"Days and hours are those of {PLACE}.")
    expect(page.get_by_role("combobox", name="Period")).to_have_value("7d")


def test_a_long_list_asks_a_few_questions_at_once(wide: Page, shop: Shop) -> None:
    """About the goals of a shop; and it shows no more rows than a report returns."""
    page = wide
    goals = [{"tenant_id": 2, "name": f"goal {number}"} for number in range(20)]
    page.route("**/api/v1/goals", lambda route: route.fulfill(json={"goals": goals}))
    page.route("**/api/v1/reports/*&goal=*", lambda route: route.fulfill(json={"rows": []}))
    page.add_init_script(OPEN_QUESTIONS)
    opened(page, f"{shop.url}/?shop=taller&open=goals")
    names = page.get_by_role("dialog", name="Goals").locator("tbody td.name")
    expect(names).to_have_text([str(goal["name"]) for goal in goals])
    assert page.evaluate("mostOpen") <= 8  # four for the list, and four for its window
    more = "import('/assets/address.js').then(({ withMore }) => withMore({ shown: 9999 }))"
    assert page.evaluate(more) is None
