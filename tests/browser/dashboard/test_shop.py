"""A shop's page: its numbers are those of the reports, live, on paper, and without events."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import traffic_tools as tools
from dashboard_pages import (
    PHONE,
    PLACE,
    WIDTHS,
    ZONE,
    Shop,
    assert_good,
    card,
    opened,
    route_lists,
    route_rows,
    rows_of,
)
from http_tools import INTERACTIONS, TRACK
from playwright.sync_api import Page, Route, expect

LONG_NAME = "Zapatos de cuero hechos a mano en Comayagua para toda la familia"


def test_a_shops_page_shows_what_the_reports_say(page: Page, shop: Shop) -> None:
    """Cards, chart, lists, funnel, and rejected events in words."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(page.get_by_role("heading", level=1)).to_have_text("La Colmena")
    [summary] = shop.report("summary", tenant="la-colmena")
    assert card(page, "Page views") == str(summary["view"]) == "30"
    assert card(page, "Visitors") == str(summary["visitors"])
    assert card(page, "Contacts") == "5"
    assert card(page, "Sales") == str(summary["transactions"]) == "2"
    assert card(page, "Revenue") == "L 560.00"
    rate = 2 / int(str(summary["visitors"]))
    assert card(page, "Conversion rate") == f"{rate:.0%}"
    assert page.get_by_text("More sales than visitors").is_visible() == (rate > 1)
    sources = [
        [row["source"].capitalize(), str(row["visitors"]), str(row["transactions"])]
        for row in shop.report("sources", tenant="la-colmena")
    ]
    assert rows_of(page, "Where from") == sources
    assert rows_of(page, "Products") == [["Miel de abeja", "2", "L 560.00"]]
    steps = [str(row["visitors"]) for row in shop.report("funnel", tenant="la-colmena")]
    assert [row[1] for row in rows_of(page, "From visit to sale")] == steps
    done = [["Page view", "30"], ["WhatsApp", "5"]]
    assert rows_of(page, "What people did")[:2] == done
    quality = page.locator("section", has=page.get_by_role("heading", name="Was everything"))
    [accepted] = [
        row["events"]
        for row in shop.report("quality", tenant="la-colmena")
        if row["outcome"] == "accepted"
    ]
    expect(quality).to_contain_text(f"{accepted} events were accepted.")
    expect(quality).to_contain_text("1 event arrived again and was counted once.")
    expect(quality).to_contain_text("1 event was not accepted: the product does not exist.")
    expect(page.locator("#zone")).to_have_text(f"Days and hours are those of {PLACE}.")
    assert not re.search(r"\b(lake|tenant|version|slug)\b", page.inner_text("body").lower())
    assert_good(page)


def _send_visits(shop: Shop) -> None:
    """A campaign's visits to el-sol, from a phone: one of a view, one with a cart after 90 s."""
    query = "utm_source=instagram&utm_medium=social&utm_campaign=rebajas"
    context = {"path": "/zapatos", "query": query, "referrer": "l.instagram.com"}
    now = datetime.now(UTC)
    view = {"tenant_id": 3, "type": "view"}
    cart = {"tenant_id": "3", "type": "cart_add", "product_id": 301}
    for endpoint, address, ago_s, event in (
        (INTERACTIONS, "203.0.113.7", 90, view),
        (TRACK, "203.0.113.7", 0, cart),
        (INTERACTIONS, "203.0.113.8", 0, view),
    ):
        at = (now - timedelta(seconds=ago_s)).isoformat()
        shop.send(endpoint, PHONE, address, **event, timestamp=at, context=context)
    added = tools.run("goal", "add", "el-sol", "zapatos", "--path", "/zapatos", data=shop.data)
    assert added.returncode == 0, added.stderr
    tools.eventually(
        lambda: [row["events"] for row in shop.report("summary", tenant="3")] == [3],
        timeout_s=60,
        what="they are in the reports",
    )


def _assert_facts(page: Page, shop: Shop) -> None:
    """The visits, their hours, the carts and the goal are those of the reports."""
    [visits] = shop.report("visits", tenant="3")
    assert (visits["visits"], visits["bounces"], visits["duration_s_median"]) == (2, 1, 45)
    assert page.locator("dl.facts dd").all_inner_texts() == ["2", "1", "50%", "45 s"]
    [cart] = shop.report("abandoned-carts", tenant="3")
    shown = [["Pan de yema", str(cart["carts"]), f"{float(str(cart['value'])):g}"]]
    assert rows_of(page, "Left in the cart") == shown == [["Pan de yema", "1", "15"]]
    [goal] = shop.report("summary", tenant="3", goal="zapatos")
    shown = [["zapatos", str(goal["visitors"]), str(goal["events"])]]
    assert rows_of(page, "Goals") == shown == [["zapatos", "2", "3"]]
    times = page.locator("section", has=page.get_by_role("heading", name="When people come"))
    times.get_by_text("Table", exact=True).click()
    days = dict(enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), start=1))
    assert rows_of(page, "When people come") == [
        [f"{days[int(str(row['weekday']))]} {row['hour']:02}:00", str(row["visitors"])]
        for row in shop.report("hours", tenant="3")
    ]


def test_lists_show_what_the_reports_say(wide: Page, shop: Shop) -> None:
    """Visits of a campaign: their channel, page, country and so on, and what came of them."""
    page = wide
    _send_visits(shop)
    opened(page, f"{shop.url}/?shop=el-sol")
    for title, report, dimension, name, second in (
        ("Pages", "pages", "path", "/zapatos", "views"),
        ("Campaigns", "campaigns", "utm_campaign", "rebajas instagram / social", "transactions"),
        ("How people came", "channels", "channel", "Social media", "transactions"),
        ("Devices", "devices", "device", "Phone", "transactions"),
        ("Browsers", "browsers", "browser", "Safari", "transactions"),
        ("Countries", "countries", "country", "Honduras", "transactions"),
    ):
        rows = {row[dimension]: row for row in shop.report(report, tenant="3")}
        shown = rows_of(page, title)
        assert len(shown) == len(rows)
        [numbers] = [cells[1:3] for cells in shown if cells[0] == name]
        [row] = [row for key, row in rows.items() if key is not None]
        assert numbers == [str(row["visitors"]), str(row[second])], title
    csv = page.get_by_role("link", name="Pages as CSV").get_attribute("href") or ""
    assert parse_qs(urlsplit(csv).query)["limit"] == ["10000"]
    _assert_facts(page, shop)
    page.get_by_role("link", name="rebajas. Show only rebajas").click()
    page.wait_for_url("**utm_campaign=rebajas&utm_source=instagram&utm_medium=social")
    expect(page.locator(".chips")).to_contain_text("Campaign: rebajas")
    expect(page.locator(".quality")).to_contain_text("whatever the filters")
    expect(page.locator(".card", has_text="Page views").locator(".number")).to_have_text("2")


def test_a_list_names_what_it_leaves_out(wide: Page, shop: Shop) -> None:
    """Rows beyond those that are shown, and amounts in other currencies."""
    page = wide
    amount = {"currency": "HNL", "value": 10, "other_value": "5.0000 EUR, 1.5000 USD"}
    campaign = {"utm_campaign": "rebajas", "utm_medium": None, "visitors": 1, "transactions": 3}
    rows = [{**campaign, **amount, "utm_source": f"site-{number}"} for number in range(8)]
    route_rows(page, "campaigns", rows)
    opened(page, f"{shop.url}/?shop=la-colmena")
    shown = rows_of(page, "Campaigns")
    assert len(shown) == 7
    assert shown[0] == ["rebajas site-0", "1", "3", "L 10.00 €5.00 $1.50"]
    panel = page.locator("section", has=page.get_by_role("heading", name="Campaigns"))
    everything = panel.get_by_role("link", name="Show all: Campaigns")
    everything.click()
    page.wait_for_url("**open=campaigns")
    window = page.get_by_role("dialog", name="Campaigns")
    names = window.locator("tbody td.name")
    expect(names).to_have_count(8)
    page.emulate_media(color_scheme="dark")
    assert_good(page)
    page.set_viewport_size({"width": min(WIDTHS), "height": 800})
    expect(window.get_by_text("The table scrolls sideways.")).to_be_visible()
    assert window.locator(".scroll").evaluate("node => node.scrollWidth > node.clientWidth")
    assert_good(page)
    page.keyboard.press("Escape")
    expect(window).to_be_hidden()
    expect(everything).to_be_focused()
    page.go_back()
    expect(names).to_have_count(8)
    names.last.get_by_role("link").click()
    page.wait_for_url("**utm_campaign=rebajas&utm_source=site-7")
    expect(window).to_be_hidden()


def test_a_whole_list_comes_a_hundred_rows_at_a_time(wide: Page, shop: Shop) -> None:
    """Also in a page that begins with it, as after a reload."""
    page = wide
    limits: list[str] = []

    def answer(route: Route) -> None:
        [limit] = parse_qs(urlsplit(route.request.url).query)["limit"]
        limits.append(limit)
        paths = [{"path": f"/{number}", "visitors": 1} for number in range(min(150, int(limit)))]
        route.fulfill(body=json.dumps({"rows": paths, "parameters": {}}))

    page.route("**/api/v1/reports/pages?*", answer)
    opened(page, f"{shop.url}/?shop=la-colmena&open=pages")
    window = page.get_by_role("dialog", name="Pages")
    expect(window.locator("tbody tr")).to_have_count(100)
    window.get_by_role("link", name="Show 100 more").click()
    page.wait_for_url("**shown=200")
    expect(window.locator("tbody tr")).to_have_count(150)
    assert {"8", "101", "201"} <= set(limits)
    window.get_by_role("link", name="Close").click()
    page.wait_for_url("**/?shop=la-colmena")
    expect(window).to_be_hidden()


def test_new_events_change_the_page_and_nothing_else(wide: Page, shop: Shop) -> None:
    """Within seconds, without a reload; the card stays the same element, with its focus."""
    page = wide
    opened(page, f"{shop.url}/?shop=taller")
    expect(page.locator(".live")).to_contain_text("1 visitor in the last 30 min")
    before = int(card(page, "Contacts"))
    contacts = page.locator(".card", has_text="Contacts")
    contacts.focus()
    kept = contacts.element_handle()
    shop.send(INTERACTIONS, tenant_id=2, type="maps_click")
    expect(page.locator(".live")).to_contain_text("latest: Map")
    expect(contacts.locator(".number")).to_have_text(str(before + 1))
    assert page.evaluate("node => document.activeElement === node", kept)
    expect(page.get_by_role("link", name="Map. Show only Map")).to_be_visible()


def test_the_page_prints_on_one_sheet(page: Page, shop: Shop) -> None:
    """From a phone too, with the numbers and their period, without what only a screen can use; and
    with long names in lists that are not shown whole."""
    names = [f"{LONG_NAME} {number}" for number in range(7)]
    route_lists(page, [*names, LONG_NAME.replace(" ", "-")])
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert_good(page)
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    page.emulate_media(media="print")
    expect(page.get_by_role("combobox", name="Period")).to_be_hidden()
    today = datetime.now(ZoneInfo(ZONE))
    expect(page.locator(".compared")).to_contain_text(f"{today - timedelta(days=6):%b %-d} to ")


@pytest.mark.parametrize("name", ["dos-dias", "4"])
def test_an_empty_shops_line_names_it(wide: Page, shop: Shop, name: str) -> None:
    """The line has the shop's id and slug, whichever of them is in the address."""
    page = wide
    opened(page, f"{shop.url}/?shop={name}&from=2020-01-01&to=2020-01-02")
    expect(page.locator("pre")).to_contain_text('data-tenant="4" data-slug="dos-dias"></script>')
    expect(page.get_by_role("heading", level=1)).to_have_text("Dos Días")


def test_an_id_is_no_slug(wide: Page, shop: Shop) -> None:
    """The line of a shop that the directory lacks has its id alone."""
    page = wide
    opened(page, f"{shop.url}/?shop=99")
    expect(page.locator("pre")).to_contain_text('data-tenant="99"></script>')
