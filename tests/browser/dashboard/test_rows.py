"""The rows of a shop's lists: most of them filter the page, and some say what led to the sales."""

from __future__ import annotations

from typing import Any

import pytest
import traffic_tools as tools
from dashboard_pages import PHONE, Shop, assert_good, card, opened, rows_of
from http_tools import CONVERSION, INTERACTIONS, UUID, post
from playwright.sync_api import Locator, Page, expect

AD = "utm_source=instagram&utm_medium=paid&utm_campaign=verano"
LETTER = "utm_source=boletin&utm_medium=email&utm_campaign=navidad"
SERVER = "python-requests/2.32"
NAMES = {
    None: "Unknown",
    "mail": "E-mail",
    "paid-social": "Social media ads",
    "101": "Miel de abeja",
}
TITLE = "What brought the sales"


def send(shop: Shop, path: str, agent: str = PHONE, **body: object) -> None:
    """Send an event from a phone in Honduras, or from a server."""
    browser = {"Origin": "https://www.colmena.hn", "X_Forwarded_For": "203.0.113.7"}
    headers = {"User_Agent": agent} | (browser if agent == PHONE else {})
    answer = post(shop.service.url, path, body, **headers)
    assert answer.status in (200, 201), answer


@pytest.fixture(scope="module")
def sold(shop: Shop) -> Shop:
    """The shop la-colmena with a visitor of an ad and a newsletter, who bought in the shop, and in
    the chat that was begun from the ad."""
    added = tools.run("goal", "add", "la-colmena", "honey", "--path", "/miel", data=shop.data)
    assert added.returncode == 0, added.stderr
    of_ad = {"tenant_id": 1, "context": {"path": "/miel", "query": AD}}
    of_letter = {"path": "/velas", "query": LETTER}
    send(shop, INTERACTIONS, type="view", product_id=101, **of_ad)
    send(shop, INTERACTIONS, type="whatsapp_click", product_id=101, event_id=UUID, **of_ad)
    send(shop, INTERACTIONS, tenant_id=1, type="view", context=of_letter)
    sale = {"tenant_slug": "la-colmena", "context": {**of_letter, "path": "/gracias"}}
    send(shop, CONVERSION, transaction_id="P-1", value=1250, **sale)
    of_chat = {"tenant_slug": "la-colmena", "transaction_id": "P-2", "ref": UUID}
    send(shop, CONVERSION, SERVER, value=2500, **of_chat)
    tools.eventually(
        lambda: shop.report("revenue", tenant="1")[0]["value"] == 4310,
        timeout_s=60,
        what="every sale is in the reports",
    )
    return shop


def panel_of(page: Page, title: str) -> Locator:
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator("section", has=heading)


@pytest.mark.parametrize(
    "row",
    [
        ("How people came", "E-mail", "channel=mail", 1),
        ("Where from", "boletin", "source=boletin", 1),
        ("Pages", "/velas", "path=%2Fvelas", 1),
        ("Countries", "Honduras", "country=HN", 2),
        ("Devices", "Phone", "device=phone", 2),
        ("Browsers", "Safari", "browser=Safari", 2),
        ("Goals", "honey", "goal=honey", 1),
    ],
    ids=lambda row: str(row[0]),
)
def test_a_row_of_any_list_filters_the_page(
    wide: Page, sold: Shop, row: tuple[str, str, str, int]
) -> None:
    """By what the row counts; and a list has a CSV if a report has its rows."""
    page = wide
    title, name, address, views = row
    opened(page, f"{sold.url}/?shop=la-colmena")
    assert card(page, "Page views") == "32"
    panel = panel_of(page, title)
    assert panel.locator(".csv").count() == (title != "Goals")
    panel.get_by_role("link", name=f"{name}. Show only {name}").click()
    page.wait_for_url(f"**/?shop=la-colmena&{address}")
    expect(page.locator(".chip")).to_contain_text(f": {name}")
    number = page.locator(".card", has_text="Page views").locator(".number")
    expect(number).to_have_text(str(views))


def _money(value: float) -> str:
    return f"L {value:,.2f}" if value else "\N{EN DASH}"


def _shown(row: dict[str, Any]) -> list[str]:
    """The cells of a row of the report: by the last touch, and by the other rules below."""
    counts, values = [str(row["last_transactions"])], [_money(row["last_value"])]
    for rule in ("first", "linked"):
        if count := row[f"{rule}_transactions"]:
            counts.append(f"{rule.capitalize()}: {count}")
            values.append(_money(row[f"{rule}_value"]))
    key = row["key"]
    return [NAMES.get(key, key), " ".join(counts), " ".join(values)]


def test_sales_are_told_by_what_led_to_them(page: Page, sold: Shop) -> None:
    """By channel, campaign, page and product, each number beside its rule, as in the report."""
    opened(page, f"{sold.url}/?shop=la-colmena")
    panel = panel_of(page, TITLE)
    for choice, led in (
        ("Channel", "Social media ads"),
        ("Campaign", "verano"),
        ("Page", "/miel"),
        ("Product", "Miel de abeja"),
    ):
        panel.get_by_role("link", name=choice, exact=True).click()
        expect(panel.locator("thead th").first).to_have_text(choice)
        rows = sold.report("attribution", tenant="la-colmena", by=choice.lower())
        shown = rows_of(page, TITLE)
        assert shown == [_shown(row) for row in rows]
        [(counts, values)] = [cells[1:] for cells in shown if cells[0] == led]
        assert (counts[-9:], values[-10:]) == ("Linked: 1", "L 2,500.00")
    page.wait_for_url("**/?shop=la-colmena&by=product")
    expect(panel.locator("tbody a")).to_have_count(0)  # filters are about the sales' own products
    expect(panel.locator(".note")).to_contain_text("Other lists count a sale by its own")
    csv = panel.get_by_role("link", name=f"{TITLE} as CSV")
    assert "by=product" in str(csv.get_attribute("href"))
    assert_good(page)
