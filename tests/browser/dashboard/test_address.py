"""The choices of a shop's page, which its address keeps: filters and the period."""

from __future__ import annotations

import pytest
from dashboard_pages import PATIENCE_MS, Shop, assert_good, card, opened
from playwright.sync_api import Browser, Page, expect


def test_a_row_filters_the_page(page: Page, shop: Shop) -> None:
    """Filters are in the address, a chip removes one, and the back button works."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    page.get_by_role("link", name="WhatsApp. Show only WhatsApp").click()
    page.wait_for_url("**type=whatsapp_click")
    chip = page.get_by_role("link", name="Remove the filter Action: WhatsApp")
    expect(chip.first).to_be_visible()
    expect(page.locator(".card", has_text="Page views").locator(".number")).to_have_text("0")
    assert card(page, "Contacts") == "5"
    page.get_by_role("link", name="Miel").wait_for(state="detached")
    page.go_back()
    expect(page.locator(".card", has_text="Page views").locator(".number")).to_have_text("30")
    page.get_by_role("link", name="Miel de abeja. Show only").click()
    page.wait_for_url("**product=101")
    expect(page.locator(".chip")).to_contain_text("Product: Miel de abeja")
    page.reload()
    page.wait_for_selector("#view:not([aria-busy])")
    [summary] = shop.report("summary", tenant="la-colmena", product="101")
    assert card(page, "Page views") == str(summary["view"])
    expect(page.locator(".chip")).to_contain_text("Product: Miel de abeja")
    assert_good(page)
    page.locator(".chip").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?shop=la-colmena")
    expect(page.locator(".chip")).to_have_count(0)


def test_a_period_of_ones_own(page: Page, shop: Shop) -> None:
    """A period in the address; without events the page says what to do."""
    opened(page, f"{shop.url}/?shop=la-colmena&from=2020-01-01&to=2020-01-02")
    expect(page.locator("#view")).to_contain_text("No events in this period.")
    expect(page.locator("pre")).to_contain_text("beacon.js")
    assert page.get_by_label("From", exact=True).input_value() == "2020-01-01"
    assert_good(page)


def test_filters_that_nothing_matches_can_be_removed(browser: Browser, shop: Shop) -> None:
    """Where the page says so, and where the service refuses one of them."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    for filters in ("path=/nothing", "goal=nothing"):  # the chips of several have the link, too
        opened(page, f"{shop.url}/?shop=la-colmena&period=30d&{filters}")
        page.get_by_text("Remove all filters").last.click()
        page.wait_for_url("**/?shop=la-colmena&period=30d")
        expect(page.locator(".card").first).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    ("query", "message", "remedy"),
    [
        ("shop=nothing", "This shop does not exist.", "All shops"),
        ("from=9999-12-31&to=9999-12-31", "does not take the dates", "Last 7 days"),
    ],
)
def test_a_choice_that_the_service_refuses_is_reported(
    browser: Browser, shop: Shop, query: str, message: str, remedy: str
) -> None:
    """With the way out of it."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?{query}")
    expect(page.get_by_role("alert")).to_contain_text(message)
    page.get_by_role("button", name=remedy).click()
    expect(page.get_by_role("link", name="La Colmena")).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=2026-02-31&to=2026-03-01", "has a date that does not exist"),
        ("shop=taller&from=yesterday", "has a date that does not exist"),
        ("from=2026-03-02&to=2026-03-01", "ends before it begins"),
    ],
)
def test_a_wrong_date_in_the_address_is_reported(
    wide: Page, shop: Shop, query: str, message: str
) -> None:
    """With a message and a button that leads to a valid period."""
    page = wide
    opened(page, f"{shop.url}/?{query}")
    expect(page.get_by_role("alert")).to_contain_text(message)
    assert_good(page)
    page.get_by_role("button", name="Last 7 days").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
